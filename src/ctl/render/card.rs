//! Cards: a title and a few rows in a rounded box.

use super::{Style, shorten, width};

/// The width of a card as the documents draw it; a card with longer rows grows up to the terminal's width.
const CARD_WIDTH: usize = 56;

/// A card, with its newline. In a pipe it is the same text without the box.
pub fn card(style: &Style, title: &str, rows: &[String]) -> String {
    if !style.tty {
        let mut plain = format!("{title}\n");
        rows.iter().for_each(|row| plain.extend([row, "\n"]));
        return plain;
    }
    let (left, line, right, bar, low_left, low_right) =
        if style.unicode { ('╭', "─", '╮', '│', '╰', '╯') } else { ('+', "-", '+', '|', '+', '+') };
    // Inside a row: bar, blank, text, blank, bar. In the title's line two more columns are border.
    let longest = rows.iter().map(|r| width(r) + 4).chain([width(title) + 6]).max().unwrap_or(0);
    let outer = longest.clamp(CARD_WIDTH.min(style.width), style.width);
    let title = shorten(title, outer - 6, style);
    let rest = line.repeat(outer - 5 - width(&title));
    let mut out = format!("{left}{line} {} {rest}{right}\n", style.bold(&title));
    for row in rows.iter().flat_map(|row| wrap(row, outer - 4)) {
        let pad = " ".repeat(outer - 4 - width(&row));
        out.push_str(&format!("{bar} {row}{pad} {bar}\n"));
    }
    out.push_str(&format!("{low_left}{}{low_right}\n", line.repeat(outer - 2)));
    out
}

/// `text` in lines of at most `columns`, cut at blanks where there are any.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let used = lines.last().map_or(0, |l| width(l));
        if used > 0 && used + width(word.trim_end()) > columns {
            lines.push(String::new());
        }
        for c in word.chars() {
            let w = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            if lines.last().map_or(0, |l| width(l)) + w > columns {
                if c == ' ' {
                    continue;
                }
                lines.push(String::new());
            }
            if let Some(last) = lines.last_mut() {
                last.push(c);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::tests::style;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_card_looks_as_the_documents_draw_it() {
        let rows = ["Job ID: a1b2c3d4".to_owned(), "Script: train.py".to_owned()];
        let title = "Sending to raj (best available)";
        assert_eq!(
            card(&style(true, true, 80), title, &rows),
            "\
╭─ Sending to raj (best available) ────────────────────╮
│ Job ID: a1b2c3d4                                     │
│ Script: train.py                                     │
╰──────────────────────────────────────────────────────╯
"
        );
        assert_eq!(
            card(&style(false, true, 80), title, &rows),
            "\
+- Sending to raj (best available) --------------------+
| Job ID: a1b2c3d4                                     |
| Script: train.py                                     |
+------------------------------------------------------+
"
        );
        assert_eq!(
            card(&style(true, false, 80), title, &rows),
            "Sending to raj (best available)\nJob ID: a1b2c3d4\nScript: train.py\n"
        );
    }

    #[test]
    fn a_long_row_widens_the_card_and_then_wraps() {
        let rows = [format!("Downloaded: {}", "results_of_a_run.json, ".repeat(6))];
        let at = |w| {
            let text = card(&style(true, true, w), "Job Complete", &rows);
            (text.lines().count(), text.lines().map(width).max())
        };
        assert_eq!(at(80), (5, Some(80)));
        assert_eq!(at(120), (4, Some(120)));
    }

    proptest! {
        #[test]
        fn every_line_of_a_card_is_equally_wide(title in "\\PC{0,60}", row in "[a-z 日ü]{0,200}", w in 40usize..130) {
            let text = card(&style(true, true, w), &title, &[row]);
            let widths: Vec<_> = text.lines().map(width).collect();
            prop_assert!(widths.iter().all(|n| *n == widths[0] && *n <= w), "{:?}", widths);
        }
    }
}
