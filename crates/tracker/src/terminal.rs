//! What the terminal can show.

use std::env;
use std::io::IsTerminal;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Black on white, of the 256 colours that do not follow the user's theme.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";

/// The end of colours.
const RESET: &str = "\x1b[0m";

/// What an output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// Nothing but lines: it is a file or a pipe.
    None,
    /// Text without colours.
    Plain,
    /// Text with colours.
    Colors,
}

impl Terminal {
    /// What this output can show. There are no colours if [`NO_COLOR`](https://no-color.org) is set, or if the terminal is a dumb
    /// one.
    pub(crate) fn of(output: &impl IsTerminal) -> Self {
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match output.is_terminal() {
            false => Self::None,
            true if no_color || is_dumb() => Self::Plain,
            true => Self::Colors,
        }
    }

    /// The QR code of a text, in lines of half blocks, if this is a terminal.
    ///
    /// With colours it is black on white. Without them, and on Windows, whose older terminals show none, the light parts are
    /// drawn: that is the right way round on a dark terminal, and on a light one most phones read it all the same.
    pub(crate) fn qr_code(self, text: &str) -> Option<String> {
        let colors = match self {
            Self::None => return None,
            Self::Plain => false,
            Self::Colors => cfg!(not(windows)),
        };
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let (dark, light) = if colors { (Dense1x2::Dark, Dense1x2::Light) } else { (Dense1x2::Light, Dense1x2::Dark) };
        let drawn = code.render::<Dense1x2>().dark_color(dark).light_color(light).build();
        let line = |line: &str| if colors { format!("{BLACK_ON_WHITE}{line}{RESET}\n") } else { format!("{line}\n") };
        Some(drawn.lines().map(line).collect())
    }
}

/// Returns `true` for a terminal that shows plain lines only.
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use rqrr::PreparedImage;

    use super::*;

    /// The width and height of a module in pixels.
    const MODULE: usize = 4;

    /// The text in a QR code, as a phone reads it off a terminal whose text has one of these shades on the other.
    fn decode(drawn: &str, text: u8, background: u8) -> Option<String> {
        let mut pixels = Vec::new();
        for line in drawn.lines() {
            let (line, text, background) = match line.strip_prefix(BLACK_ON_WHITE) {
                Some(line) => (line.strip_suffix(RESET).unwrap(), 0, 255),
                None => (line, text, background),
            };
            let half = |lower: bool| {
                let shade = move |block: char| match block {
                    '█' => text,
                    '▀' if !lower => text,
                    '▄' if lower => text,
                    ' ' | '▀' | '▄' => background,
                    other => panic!("{other:?}"),
                };
                line.chars().map(shade).collect::<Vec<u8>>()
            };
            pixels.extend([half(false), half(true)]);
        }
        let (width, height) = (pixels[0].len() * MODULE, pixels.len() * MODULE);
        let shade = |x: usize, y: usize| pixels[y / MODULE][x / MODULE];
        let mut image = PreparedImage::prepare_from_greyscale(width, height, shade);
        image.detect_grids().first().and_then(|grid| grid.decode().ok()).map(|(_, text)| text)
    }

    #[test]
    fn qr_codes_can_be_read() {
        for url in
            ["http://10.0.0.1:6970/", "http://192.168.100.100:6970/", "http://[2001:db8:1234:5678:9abc::1]:6970/"]
        {
            for (terminal, text, background) in
                [(Terminal::Colors, 230, 20), (Terminal::Colors, 20, 230), (Terminal::Plain, 230, 20)]
            {
                let drawn = terminal.qr_code(url).unwrap();
                assert_eq!(decode(&drawn, text, background).as_deref(), Some(url), "{terminal:?}:\n{drawn}");
                assert!(drawn.lines().all(|line| line.chars().count() < 80) && drawn.lines().count() < 24, "{drawn}");
            }
        }
        assert_eq!(Terminal::None.qr_code("http://10.0.0.1:6970/"), None);
    }
}
