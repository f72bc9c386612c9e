//! Tables: boxed and fitted to the terminal for people, plain columns for pipes.

use comfy_table::presets::{ASCII_FULL_CONDENSED, NOTHING};
use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, TableStyle};

use super::{Style, shorten, width};

/// Borders as the documents draw them: rounded corners, one line below the header, none between rows.
const ROUNDED: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('╭', '─', '┬', '╮'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('╰', '─', '┴', '╯'));

/// A table in the making.
#[derive(Debug, Clone)]
pub struct Table {
    title: Option<String>,
    table: comfy_table::Table,
    painted: Vec<(String, String)>,
}

impl Table {
    /// A table with these column heads.
    pub fn new(head: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.set_header(head.to_vec());
        Self { title: None, table, painted: Vec::new() }
    }

    /// The same with a title in its upper border (left out in pipes).
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.table.add_row(cells);
    }

    /// Puts a column's cells at its right side: for numbers.
    pub fn align_right(&mut self, column: usize) {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }

    /// Replaces the text `plain` by `painted` (the same text with colours) after everything is laid out, so that
    /// colour codes never count as columns.
    pub fn paint(&mut self, plain: impl Into<String>, painted: impl Into<String>) {
        self.painted.push((plain.into(), painted.into()));
    }

    /// The table, with its newline.
    pub fn render(mut self, style: &Style) -> String {
        if !style.tty {
            self.table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
            return self.table.lines().map(|line| line.trim().to_owned() + "\n").collect();
        }
        self.table
            .load_style(if style.unicode { ROUNDED } else { ASCII_FULL_CONDENSED })
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(style.width).unwrap_or(u16::MAX));
        let mut lines: Vec<String> = self.table.lines().collect();
        if let (Some(title), Some(top)) = (&self.title, lines.first_mut()) {
            *top = titled(style, title, width(top));
        }
        let mut text = lines.join("\n") + "\n";
        if style.color {
            for (plain, painted) in &self.painted {
                text = text.replace(plain.as_str(), painted);
            }
        }
        text
    }
}

/// An upper border of `columns` with `title` in its middle.
fn titled(style: &Style, title: &str, columns: usize) -> String {
    let (left, line, right) = if style.unicode { ("╭", "─", "╮") } else { ("+", "-", "+") };
    let title = shorten(title, columns.saturating_sub(6), style);
    let free = columns.saturating_sub(width(&title) + 4);
    let before = line.repeat(free / 2);
    let after = line.repeat(free - free / 2);
    format!("{left}{before} {} {after}{right}", style.bold(&title))
}

#[cfg(test)]
mod tests {
    use super::super::tests::style;
    use super::*;

    fn peers() -> Table {
        let mut table = Table::new(&["NAME", "IP", "CPU", "GPU"]).title("HOMIES ON NETWORK");
        table.row(vec!["raj".into(), "192.168.1.42".into(), "23% ▓░".into(), "RTX 3080".into()]);
        table.row(vec!["mike".into(), "192.168.1.43".into(), "12% ░░".into(), "-".into()]);
        table
    }

    #[test]
    fn a_table_looks_as_the_documents_draw_it() {
        assert_eq!(
            peers().render(&style(true, true, 80)),
            "\
╭─────────── HOMIES ON NETWORK ───────────╮
│ NAME │ IP           │ CPU    │ GPU      │
├──────┼──────────────┼────────┼──────────┤
│ raj  │ 192.168.1.42 │ 23% ▓░ │ RTX 3080 │
│ mike │ 192.168.1.43 │ 12% ░░ │ -        │
╰──────┴──────────────┴────────┴──────────╯
"
        );
    }

    #[test]
    fn a_pipe_gets_columns_and_nothing_else() {
        assert_eq!(
            peers().render(&style(true, false, 80)),
            "NAME  IP            CPU     GPU\nraj   192.168.1.42  23% ▓░  RTX 3080\nmike  192.168.1.43  12% ░░  -\n"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [40, 80, 120] {
            let mut table = peers();
            table.row(vec!["x".repeat(50), "y z ".repeat(30), "1".into(), "2".into()]);
            let text = table.render(&style(false, true, columns));
            assert!(text.lines().all(|l| width(l) <= columns), "{text}");
            assert!(text.starts_with('+'), "{text}");
        }
    }

    #[test]
    fn paint_does_not_move_a_column() {
        let mut table = peers();
        table.paint("RTX 3080", "\u{1b}[32mRTX 3080\u{1b}[0m");
        let plain = table.clone().render(&style(true, true, 80));
        let painted = table.render(&Style { color: true, ..style(true, true, 80) });
        assert_ne!(plain, painted);
        let bare = painted.replace("\u{1b}[32m", "").replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert_eq!(plain, bare);
    }
}
