//! The dashboard's widgets: from a state to a frame, for every size of terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style as Look};
use ratatui::symbols::{bar, border};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Padding, Paragraph, Row, Sparkline, Table};
use tokio::time::Instant;

use super::state::{Snapshot, State};
use crate::ctl::cells::{
    clean, gpu_cell, ip_cell, job_state_cell, jobs_cell, load_bar, path_cell, round_bytes, run_time_cell, short_gpu,
    status_cell,
};
use crate::ctl::commands::status::ticks;
use crate::ctl::render::Style;
use crate::model::{Facts, PeerStatus, Role, format_bytes};

/// Width from which the tables have more columns.
const WIDE: u16 = 100;
/// Height below which the load curve gives its place to the tables.
const TALL: u16 = 20;
/// Rows of jobs at most, so that peers stay visible.
const JOB_ROWS: usize = 8;

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
const ASCII_BARS: bar::Set<'static> = bar::Set {
    full: "#",
    seven_eighths: "#",
    three_quarters: "#",
    five_eighths: "=",
    half: "=",
    three_eighths: "-",
    one_quarter: "-",
    one_eighth: ".",
    empty: " ",
};

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, style: &Style, now: Instant) {
    let area = frame.area();
    let pen = Pen { style };
    let foot_height = 1;
    let Some(seen) = &state.seen else {
        let text = state.trouble.as_deref().unwrap_or("Asking homied");
        frame.render_widget(Paragraph::new(clean(text)).block(pen.block(title(style))), area);
        return;
    };
    let jobs = seen.jobs.len().clamp(1, JOB_ROWS) as u16 + 3;
    let load = if area.height >= TALL { 5 } else { 0 };
    let parts = Layout::vertical([
        Constraint::Length(5),
        Constraint::Length(load),
        Constraint::Min(4),
        Constraint::Length(jobs.min(area.height / 3)),
        Constraint::Length(foot_height),
    ])
    .split(area);
    frame.render_widget(head(&pen, seen), parts[0]);
    if load > 0 {
        draw_load(frame, &pen, state, seen, parts[1]);
    }
    frame.render_widget(peers(&pen, seen, state.first, area.width >= WIDE), parts[2]);
    frame.render_widget(jobs_table(&pen, seen, area.width >= WIDE), parts[3]);
    frame.render_widget(foot(&pen, state, now), parts[4]);
}

/// Borders and colours as the terminal can show them.
struct Pen<'a> {
    style: &'a Style,
}

impl Pen<'_> {
    fn block<'b>(&self, title: impl Into<Line<'b>>) -> Block<'b> {
        let set = if self.style.unicode { border::ROUNDED } else { ASCII_BORDER };
        Block::bordered().border_set(set).padding(Padding::horizontal(1)).title(title.into())
    }

    fn look(&self, color: Color) -> Look {
        if self.style.color { Look::default().fg(color) } else { Look::default() }
    }

    fn head_look(&self) -> Look {
        if self.style.color { Look::default().add_modifier(Modifier::BOLD) } else { Look::default() }
    }

    fn status_look(&self, status: PeerStatus) -> Look {
        self.look(match status {
            PeerStatus::Idle => Color::Green,
            PeerStatus::Busy => Color::Yellow,
            PeerStatus::Paused => Color::Cyan,
            PeerStatus::Offline => Color::DarkGray,
        })
    }
}

fn title(style: &Style) -> &'static str {
    if style.unicode { " 🏠 HOMIE COMPUTE " } else { " HOMIE COMPUTE " }
}

fn head<'a>(pen: &Pen<'_>, seen: &'a Snapshot) -> Paragraph<'a> {
    let (status, style) = (&seen.status, pen.style);
    let facts = &status.facts;
    let bar = style.pick("│", "|");
    let gpus = if facts.gpus.is_empty() { "no GPU".to_owned() } else { gpu_cell(&facts.gpus, true) };
    let who = Line::from(vec![
        Span::styled(clean(&status.name), pen.head_look()),
        Span::raw(format!(
            "  {}  {bar} {} cores {bar} {} RAM {bar} {gpus}",
            status.ip.as_deref().unwrap_or("-"),
            facts.cores,
            round_bytes(facts.memory_bytes),
        )),
    ]);
    let mut works = Vec::new();
    let mut reasons = Vec::new();
    for tick in ticks(status) {
        let (mark, color) =
            if tick.ok { (style.pick("✓", "+"), Color::Green) } else { (style.pick("✗", "x"), Color::Red) };
        works.push(Span::styled(mark, pen.look(color)));
        works.push(Span::raw(format!(" {}   ", tick.text)));
        reasons.extend(tick.why);
    }
    reasons.extend(status.warnings.iter().cloned());
    let reason = Line::styled(clean(&reasons.join("; ")), pen.look(Color::Yellow));
    Paragraph::new(vec![who, Line::from(works), reason]).block(pen.block(title(style)))
}

fn draw_load(frame: &mut Frame<'_>, pen: &Pen<'_>, state: &State, seen: &Snapshot, area: Rect) {
    let halves = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).split(area);
    let facts = &seen.status.facts;
    // The newest value stands at the right: only what fits is given to the widget.
    let columns = usize::from(halves[0].width.saturating_sub(4));
    let newest: Vec<u64> = state.curve.iter().rev().take(columns).rev().map(|p| u64::from(*p)).collect();
    let bars = if pen.style.unicode { bar::NINE_LEVELS } else { ASCII_BARS };
    let curve = Sparkline::default().data(newest).max(100).bar_set(bars).style(pen.look(Color::Green));
    frame.render_widget(curve.block(pen.block(format!(" CPU {}% ", facts.cpu_percent))), halves[0]);
    let lines: Vec<Line<'_>> =
        resources(pen.style, facts, usize::from(halves[1].width)).into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines).block(pen.block(" THIS MACHINE ")), halves[1]);
}

/// Memory, slots and GPUs of this machine, three lines.
fn resources(style: &Style, facts: &Facts, columns: usize) -> Vec<String> {
    let used = facts.memory_bytes.saturating_sub(facts.memory_free_bytes);
    let percent =
        |part: u64, all: u64| u8::try_from((part.saturating_mul(100)).checked_div(all).unwrap_or(0)).unwrap_or(100);
    let cells = columns.saturating_sub(36).clamp(4, 20);
    let mut lines = vec![format!(
        "RAM  {} of {}",
        load_bar(percent(used, facts.memory_bytes), cells, style),
        round_bytes(facts.memory_bytes)
    )];
    for gpu in facts.gpus.iter().take(1) {
        let taken = gpu.taken.map(|t| format!(", {}", t.as_text())).unwrap_or_default();
        let name = clean(&gpu.name);
        lines.push(format!("GPU  {} {}{taken}", load_bar(gpu.busy_percent, cells, style), short_gpu(&name)));
    }
    let paused = facts.paused.as_deref().map(|why| format!(", paused: {}", clean(why))).unwrap_or_default();
    lines.push(format!("Jobs {} slots taken{paused}", jobs_cell(facts)));
    lines
}

fn peers<'a>(pen: &Pen<'_>, seen: &'a Snapshot, first: usize, wide: bool) -> Table<'a> {
    let style = pen.style;
    let rows = seen.peers.iter().skip(first).map(|peer| {
        let facts = &peer.facts;
        let mut cells = vec![
            Cell::from(clean(&peer.name)),
            Cell::from(ip_cell(peer)),
            Cell::from(load_bar(facts.cpu_percent, if wide { 8 } else { 2 }, style)),
            Cell::from(format_bytes(facts.memory_free_bytes)),
            Cell::from(clean(&gpu_cell(&facts.gpus, wide))),
            Cell::from(status_cell(peer.status, style)).style(pen.status_look(peer.status)),
        ];
        if wide {
            cells.push(Cell::from(jobs_cell(facts)));
            cells.push(Cell::from(path_cell(peer)));
        }
        Row::new(cells)
    });
    let mut heads = vec!["NAME", "IP", "CPU", "RAM", "GPU", "STATUS"];
    let mut widths = vec![
        Constraint::Fill(2),
        Constraint::Length(15),
        Constraint::Length(if wide { 13 } else { 7 }),
        Constraint::Length(9),
        Constraint::Fill(2),
        Constraint::Length(9),
    ];
    if wide {
        heads.extend(["JOBS", "PATH"]);
        widths.extend([Constraint::Length(8), Constraint::Length(8)]);
    }
    let online = seen.peers.iter().filter(|p| p.status != PeerStatus::Offline).count();
    let more = if first > 0 { format!(", from row {}", first + 1) } else { String::new() };
    let head = Row::new(heads).style(pen.head_look());
    Table::new(rows, widths).header(head).block(pen.block(format!(" HOMIES ON NETWORK: {online} online{more} ")))
}

fn jobs_table<'a>(pen: &Pen<'_>, seen: &'a Snapshot, wide: bool) -> Table<'a> {
    let style = pen.style;
    let rows = seen.jobs.iter().take(JOB_ROWS).map(|job| {
        let arrow = match job.role {
            Role::Sent => style.pick("→", "->"),
            Role::Hosted => style.pick("←", "<-"),
        };
        let mut cells = vec![
            job.id.short(),
            clean(&job.spec.name),
            format!("{arrow} {}", clean(job.peer_name.as_deref().unwrap_or("-"))),
            job_state_cell(job),
            run_time_cell(job, seen.at_ms),
        ];
        if wide {
            cells.push(job.engine.clone().unwrap_or_else(|| "-".into()));
        }
        Row::new(cells)
    });
    let mut heads = vec!["JOB", "SCRIPT", "PEER", "STATE", "RUNTIME"];
    let mut widths = vec![
        Constraint::Length(8),
        Constraint::Fill(2),
        Constraint::Fill(1),
        Constraint::Length(11),
        Constraint::Length(8),
    ];
    if wide {
        heads.push("ENGINE");
        widths.push(Constraint::Length(6));
    }
    let hosted = seen.jobs.iter().filter(|j| j.role == Role::Hosted).count();
    let sent = seen.jobs.len() - hosted;
    let head = Row::new(heads).style(pen.head_look());
    Table::new(rows, widths).header(head).block(pen.block(format!(" JOBS: {sent} sent, {hosted} hosted ")))
}

fn foot<'a>(pen: &Pen<'_>, state: &'a State, now: Instant) -> Line<'a> {
    if let Some(trouble) = &state.trouble {
        let age = state.seen_at.map_or(0, |at| now.saturating_duration_since(at).as_secs());
        return Line::styled(format!(" picture of {age} s ago: {}", clean(trouble)), pen.look(Color::Red));
    }
    Line::styled(pen.style.pick(" q quit   ↑↓ scroll", " q quit   up/down scroll"), pen.look(Color::DarkGray))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::{golden, sample};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn state() -> State {
        let mut state = State::default();
        for percent in [0, 10, 20, 40, 80, 100, 60, 23] {
            let mut status = sample::status();
            status.facts.cpu_percent = percent;
            state.heard(Ok(Snapshot::new(status, sample::peers(), sample::jobs(), sample::NOW_MS)), Instant::now());
        }
        state
    }

    fn picture(state: &State, style: &Style, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("backend");
        terminal.draw(|frame| draw(frame, state, style, Instant::now())).expect("drawn");
        let buffer = terminal.backend().buffer().clone();
        let mut text = String::new();
        for y in 0..height {
            let mut line = String::new();
            let mut x = 0;
            while x < width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                // A wide character covers the next cell.
                x += crate::ctl::render::width(symbol).max(1) as u16;
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    #[test]
    fn the_dashboard_at_two_sizes_and_in_ascii() {
        let [(_, unicode), (_, wide), (_, ascii), _] = golden::STYLES;
        golden::check("dashboard_80", &picture(&state(), &unicode, 80, 24));
        golden::check("dashboard_120", &picture(&state(), &wide, 120, 40));
        let text = picture(&state(), &ascii, 80, 24);
        assert!(text.is_ascii(), "{text}");
        golden::check("dashboard_ascii", &text);
    }

    #[test]
    fn trouble_is_shown_over_the_last_picture() {
        let mut state = state();
        state.heard(Err(crate::ctl::exit::CtlError::Broken("homied has\u{1b}[2J gone".into())), Instant::now());
        let text = picture(&state, &golden::STYLES[0].1, 80, 24);
        assert!(text.contains("picture of 0 s ago: the connection to homied broke: homied has\\x1b[2J gone"), "{text}");
        assert!(text.contains("mike"), "{text}");
    }

    #[test]
    fn no_size_of_terminal_breaks_it() {
        for (width, height) in [(1, 1), (10, 3), (20, 8), (40, 12), (79, 19), (300, 100)] {
            picture(&state(), &golden::STYLES[0].1, width, height);
            picture(&State::default(), &golden::STYLES[0].1, width, height);
        }
    }
}
