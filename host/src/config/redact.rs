//! Errors show the line that they are about, and that line may hold a password that someone wrote where none belongs.
//! What could be one is replaced; too much rather than too little.

const MASK: &str = "***";

/// Words that make a key one for a secret.
const HINTS: [&str; 4] = ["pass", "pwd", "secret", "token"];

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    HINTS.iter().any(|hint| key.contains(hint)) && !key.ends_with("file") && !key.ends_with("env")
}

/// A URL with what may be a password in it replaced by `***`.
pub fn redact_url(url: &str) -> String {
    let url = redact_account(url);
    let Some((start, query)) = url.split_once('?') else {
        return url;
    };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}={MASK}"),
        _ => pair.to_owned(),
    });
    format!("{start}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// What stands between the first colon of a URL's account and its `@`, or in place of its port.
fn redact_account(url: &str) -> String {
    let Some(start) = url.find("://").map(|at| at + 3) else {
        return url.to_owned();
    };
    let rest = &url[start..];
    let (from, to) = match rest.rfind('@') {
        // A password may hold any character, `/` and `@` too: everything up to the last `@`.
        Some(at) => match rest[..at].find(':') {
            Some(colon) => (colon + 1, at),
            None => return url.to_owned(),
        },
        // No account: what follows the host's colon is a port, unless someone forgot the host.
        None if rest.starts_with('[') => return url.to_owned(),
        None => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            match rest[..end].find(':') {
                Some(colon) if !rest[colon + 1..end].bytes().all(|byte| byte.is_ascii_digit()) => (colon + 1, end),
                _ => return url.to_owned(),
            }
        }
    };
    format!("{}{}{MASK}{}", &url[..start], &rest[..from], &rest[to..])
}

/// A line of a configuration file with what may be passwords replaced by `***`.
pub(super) fn redact_line(line: &str) -> String {
    let mut line = redact_urls(line);
    if let Some(value) = secret_value(&line) {
        line.truncate(value);
        line.push_str(MASK);
    }
    line
}

/// Each URL, up to the quote that ends its string.
fn redact_urls(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let end = rest[at..].find(['"', '\'']).map_or(rest.len(), |length| at + length);
        out.push_str(&redact_url(&rest[..end]));
        rest = &rest[end..];
    }
    out + rest
}

/// Where the value of the first key that sounds like a secret starts.
fn secret_value(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut at = 0;
    while let Some(start) = lower[at..].find(is_word).map(|found| at + found) {
        let end = lower[start..]
            .find(|c| !is_word(c))
            .map_or(lower.len(), |length| start + length);
        let word = &lower[start..end];
        let tail = lower[end..].trim_start_matches(['"', '\'', ' ']);
        let secret = ["pass", "pwd", "secret", "token"]
            .iter()
            .any(|hint| word.contains(hint))
            && !word.ends_with("file")
            && !word.ends_with("env");
        if secret && tail.starts_with('=') {
            let value = &lower[lower.len() - tail.len() + 1..];
            return Some(lower.len() - value.trim_start().len());
        }
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_password() {
        for (url, shown) in [
            ("mysql://backup@db:3306", "mysql://backup@db:3306"),
            ("mysql://backup:hunter2@db:3306/x", "mysql://backup:***@db:3306/x"),
            ("mysql://backup:hun@ter/2@db", "mysql://backup:***@db"),
            ("mysql://backup:hunter2", "mysql://backup:***"),
            ("mysql://db:3306/?socket=/x", "mysql://db:3306/?socket=/x"),
            ("mysql://[::1]:3306", "mysql://[::1]:3306"),
            (
                "mysql://db/?password=a&socket=/x&Pwd=b",
                "mysql://db/?password=***&socket=/x&Pwd=***",
            ),
            ("mysql://db/?password-file=/x", "mysql://db/?password-file=/x"),
            ("no url: at all", "no url: at all"),
        ] {
            assert_eq!(redact_url(url), shown);
        }
    }

    #[test]
    fn lines_lose_what_may_be_a_password() {
        for (line, shown) in [
            (
                r#"server = "mysql://u:p@h" # see"#,
                r#"server = "mysql://u:***@h" # see"#,
            ),
            (r#"password = "hunter2""#, "password = ***"),
            (r#"a.DB_Password="hunter2""#, "a.DB_Password=***"),
            (r#"m = { "pwd" = 'x', y = 1 }"#, r#"m = { "pwd" = ***"#),
            (r#"password_file = "/etc/x""#, r#"password_file = "/etc/x""#),
            (r#"password_env = "X""#, r#"password_env = "X""#),
            (r#"options = { key = 1 }"#, r#"options = { key = 1 }"#),
        ] {
            assert_eq!(redact_line(line), shown);
        }
    }
}
