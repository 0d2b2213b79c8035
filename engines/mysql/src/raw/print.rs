//! Numbers and times as the text protocol has them, printed here instead of by the server: that takes it several times as long.

/// Room for any number or time, in bytes.
pub const ROOM: usize = 48;
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
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            length: 0,
        }
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// The text and what lies behind it, and the text's length.
    #[inline]
    pub(super) fn in_room(&self) -> (&[u8; ROOM], usize) {
        (&self.bytes, self.length)
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn zeros(&mut self, count: usize) {
        self.bytes[self.length..self.length + count].fill(b'0');
        self.length += count;
    }

    /// A whole number.
    #[inline]
    pub(super) fn integer(&mut self, number: impl itoa::Integer) {
        self.extend(itoa::Buffer::new().format(number).as_bytes());
    }

    /// YEAR.
    #[inline]
    pub(super) fn year(&mut self, year: u16) {
        self.extend(&four(year));
    }

    /// DOUBLE: the fewest digits that make the same number again.
    pub(super) fn double(&mut self, number: f64) {
        // Here, where nobody writes exponents, it is what servers write but for a point with nothing behind it.
        if matches!(number.abs(), 0.0 | 1e-4..1e15) {
            let mut printed = zmij::Buffer::new();
            let text = printed.format_finite(number);
            self.extend(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        } else {
            self.small_or_large(number);
        }
    }

    fn small_or_large(&mut self, number: f64) {
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

    #[inline]
    pub(super) fn date(&mut self, year: u16, month: u8, day: u8) {
        let [a, b, c, d] = four(year);
        let ([e, f], [g, h]) = (two(month), two(day));
        self.extend(&[a, b, c, d, b'-', e, f, b'-', g, h]);
    }

    /// A time of day, or the end of a longer time; `microseconds` with so many digits.
    #[inline]
    pub(super) fn time(&mut self, hours: u32, minutes: u8, seconds: u8, microseconds: u32, digits: u8) {
        match u8::try_from(hours) {
            Ok(hours @ 0..100) => self.extend(&two(hours)),
            _ => self.integer(hours),
        }
        let ([a, b], [c, d]) = (two(minutes), two(seconds));
        self.extend(&[b':', a, b, b':', c, d]);
        if digits > 0 {
            self.fraction(microseconds, digits);
        }
    }

    fn fraction(&mut self, microseconds: u32, digits: u8) {
        let [a, b] = two((microseconds / 10_000 % 100) as u8);
        let [c, d, e, f] = four((microseconds % 10_000) as u16);
        self.extend(&[b'.', a, b, c, d, e, f]);
        self.length -= 6 - usize::from(digits.min(6));
    }

    #[inline]
    pub(super) fn space(&mut self) {
        self.push(b' ');
    }

    #[inline]
    pub(super) fn minus(&mut self) {
        self.push(b'-');
    }
}

#[inline]
fn two(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

#[inline]
fn four(number: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (two((number / 100 % 100) as u8), two((number % 100) as u8));
    [a, b, c, d]
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
        shown(&text)
    }

    fn shown(text: &Text) -> String {
        let (bytes, length) = text.in_room();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn the_long_way(number: f64) -> String {
        let mut text = Text::new();
        text.small_or_large(number);
        shown(&text)
    }

    #[test]
    fn doubles_at_the_ends_of_the_short_way() {
        for end in [1e-4_f64, 1e15] {
            for number in [end.next_down(), end, end.next_up(), end.next_up().next_up()] {
                assert_eq!(double(number), the_long_way(number));
                assert_eq!(double(-number), the_long_way(-number));
            }
        }
        for number in [0.0, -0.0] {
            assert_eq!(double(number), the_long_way(number));
        }
    }

    fn time(hours: u32, microseconds: u32, digits: u8) -> String {
        let mut text = Text::new();
        text.time(hours, 4, 59, microseconds, digits);
        shown(&text)
    }

    #[test]
    fn times() {
        for (time, text) in [
            (time(7, 0, 0), "07:04:59"),
            (time(99, 123_456, 6), "99:04:59.123456"),
            (time(838, 120_000, 2), "838:04:59.12"),
            (time(0, 9, 6), "00:04:59.000009"),
            (time(0, 500_000, 1), "00:04:59.5"),
        ] {
            assert_eq!(time, text);
        }
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

        /// Those that are written the short way are written as the long way would.
        #[test]
        fn doubles_are_written_alike(digits in "-?[1-9][0-9]{0,16}", point in -30..15) {
            let number = format!("{digits}e{point}").parse::<f64>().unwrap();
            prop_assert_eq!(double(number), the_long_way(number));
        }
    }
}
