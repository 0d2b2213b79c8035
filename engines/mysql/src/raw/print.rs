//! Numbers and times as the text protocol has them, printed here instead of by the server: that takes it several times as long.

/// Room for any number or time.
const ROOM: usize = 48;
/// A whole number of more digits has an exponent, and so has one below 1 with as many zeros after the point: `DBL_DIG` (dtoa.cc of
/// MySQL 9.7, dtoa.c of MariaDB 10.11).
const PLAIN: i32 = 15;

/// A short text that is being written.
#[derive(Debug)]
pub(super) struct Text {
    bytes: [u8; ROOM],
    length: usize,
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            length: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn zeros(&mut self, count: usize) {
        self.bytes[self.length..self.length + count].fill(b'0');
        self.length += count;
    }

    fn two(&mut self, number: u8) {
        self.push(b'0' + number / 10 % 10);
        self.push(b'0' + number % 10);
    }

    fn four(&mut self, number: u16) {
        self.two((number / 100 % 100) as u8);
        self.two((number % 100) as u8);
    }

    /// A whole number.
    pub(super) fn integer(&mut self, number: impl itoa::Integer) {
        self.extend(itoa::Buffer::new().format(number).as_bytes());
    }

    /// YEAR.
    pub(super) fn year(&mut self, year: u16) {
        self.four(year);
    }

    /// DOUBLE: the fewest digits that make the same number again.
    pub(super) fn double(&mut self, number: f64) {
        if number.is_sign_negative() {
            self.push(b'-');
        }
        let mut printed = zmij::Buffer::new();
        let (digits, mut exponent) = digits(printed.format_finite(number.abs()));
        let digits = digits.as_slice();
        let count = digits.len() as i32;
        // Digits before the point.
        let point = exponent + 1;
        if point <= -PLAIN || point > PLAIN && count <= point {
            self.push(digits[0]);
            if count > 1 {
                self.push(b'.');
                self.extend(&digits[1..]);
            }
            self.push(b'e');
            if exponent < 0 {
                self.push(b'-');
                exponent = -exponent;
            }
            self.integer(exponent);
        } else if point <= 0 {
            self.extend(b"0.");
            self.zeros(point.unsigned_abs() as usize);
            self.extend(digits);
        } else if count <= point {
            self.extend(digits);
            self.zeros((point - count) as usize);
        } else {
            let (whole, rest) = digits.split_at(point as usize);
            self.extend(whole);
            self.push(b'.');
            self.extend(rest);
        }
    }

    pub(super) fn date(&mut self, year: u16, month: u8, day: u8) {
        self.four(year);
        self.push(b'-');
        self.two(month);
        self.push(b'-');
        self.two(day);
    }

    /// A time of day, or the end of a longer time; `microseconds` with so many digits.
    pub(super) fn time(&mut self, hours: u32, minutes: u8, seconds: u8, microseconds: u32, digits: u8) {
        match u8::try_from(hours) {
            Ok(hours @ 0..100) => self.two(hours),
            _ => self.integer(hours),
        }
        self.push(b':');
        self.two(minutes);
        self.push(b':');
        self.two(seconds);
        if digits > 0 {
            self.push(b'.');
            let mut left = microseconds;
            for power in [100_000, 10_000, 1_000, 100, 10, 1].into_iter().take(digits.into()) {
                self.push(b'0' + (left / power % 10) as u8);
                left %= power;
            }
        }
    }

    pub(super) fn space(&mut self) {
        self.push(b' ');
    }

    pub(super) fn minus(&mut self) {
        self.push(b'-');
    }
}

/// The digits of a number.
struct Digits {
    digits: [u8; 20],
    count: usize,
}

impl Digits {
    fn as_slice(&self) -> &[u8] {
        &self.digits[..self.count]
    }
}

/// Of a text such as `12.5`, `0.001` or `1.5e-7`: its digits without zeros around them, and the exponent of the first.
fn digits(text: &str) -> (Digits, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut all = Digits {
        digits: [0; 20],
        count: 0,
    };
    let mut exponent = exponent.parse::<i32>().unwrap_or(0) + whole.len() as i32 - 1;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if all.count == 0 && digit == b'0' {
            exponent -= 1;
        } else if all.count < all.digits.len() {
            all.digits[all.count] = digit;
            all.count += 1;
        }
    }
    while all.count > 0 && all.digits[all.count - 1] == b'0' {
        all.count -= 1;
    }
    if all.count == 0 {
        (all.digits[0], all.count, exponent) = (b'0', 1, 0);
    }
    (all, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn double(number: f64) -> String {
        let mut text = Text::new();
        text.double(number);
        String::from_utf8(text.bytes().to_vec()).unwrap()
    }

    #[test]
    fn doubles() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (100.0, "100"),
            (1e14, "100000000000000"),
            (1e15, "1e15"),
            (999_999_999_999_999.0, "999999999999999"),
            (123_456_789_012_345.67, "123456789012345.67"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e17"),
            (1_234_567_890_123_456.0, "1.234567890123456e15"),
            (1_234_567_890_123_456.8, "1234567890123456.8"),
            (1e-15, "0.000000000000001"),
            (1.25e-15, "0.00000000000000125"),
            (1e-16, "1e-16"),
            (f64::MAX, "1.7976931348623157e308"),
            (-5e-324, "-5e-324"),
            (f64::from(0.1_f32), "0.10000000149011612"),
        ] {
            assert_eq!(double(number), text);
        }
    }

    proptest! {
        #[test]
        fn doubles_come_back(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            prop_assert_eq!(double(number).parse::<f64>().unwrap().to_bits(), bits);
        }
    }
}
