//! The order of names as people expect it.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A key by which names sort as people expect: `day 2` before `day 10`, without regard to case and accents.
///
/// Different names may have one key: compare the names then. A number is compared by its value, however long it is.
///
/// ```
/// use torrent_library::natural_key;
///
/// let mut names = ["day 10", "Day 2", "day 1"];
/// names.sort_by_cached_key(|name| natural_key(name));
/// assert_eq!(names, ["day 1", "Day 2", "day 10"]);
/// ```
pub fn natural_key(name: &str) -> String {
    // In front of each number stands the count of its digits as one character, so that comparing characters compares first the
    // lengths and then the digits. It is offset to where digits are, so that numbers stay between signs and letters.
    let plain: Vec<char> = name.nfd().filter(|&character| !is_combining_mark(character)).collect();
    let mut key = String::with_capacity(name.len() + 4);
    let mut rest = plain.as_slice();
    while let Some(&first) = rest.first() {
        let count = rest.iter().take_while(|character| character.is_ascii_digit()).count();
        if count == 0 {
            key.extend(first.to_lowercase());
            rest = &rest[1..];
            continue;
        }
        let number = &rest[..count];
        let zeros = number.iter().take_while(|&&digit| digit == '0').count().min(count - 1);
        push_count(&mut key, count - zeros);
        key.extend(&number[zeros..]);
        rest = &rest[count..];
    }
    key
}

/// Writes a count as a text that sorts as it does: `0` to `8`, and a `9` for each nine that go before.
fn push_count(key: &mut String, mut count: usize) {
    while count >= 9 {
        key.push('9');
        count -= 9;
    }
    key.push(char::from(b'0' + u8::try_from(count).expect("less than nine")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_by_their_value_and_case_and_accents_not_at_all() {
        let sorted = [
            "",
            " notes",
            "(old)",
            "0",
            "00 a",
            "1.txt",
            "002.txt",
            "10.txt",
            "99999999",
            "100000000",
            "18446744073709551616",
            "18446744073709551617",
            "ABC",
            "abd",
            "day 2 part 3",
            "Day 2 part 11",
            "day 10 part 1",
            "Uber",
            "Übung",
            "ubungen",
            "zebra",
            "文",
        ];
        let mut names = sorted;
        names.reverse();
        names.sort_by_cached_key(|name| natural_key(name));
        assert_eq!(names, sorted);
        for (one, other) in [("Übung 01", "ubung 1"), ("U\u{308}", "Ü"), ("007", "7")] {
            assert_eq!(natural_key(one), natural_key(other));
        }
    }
}
