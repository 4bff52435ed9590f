//! Paragraphs and tables that fit a terminal.

use paceline_wire::terminal;

/// Columns of a line.
const WIDTH: usize = 80;
/// Where text begins behind a label.
const INDENT: usize = 11;

/// A label and its text, broken between words; nothing when there is no text.
pub(super) fn paragraph(label: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut out = format!("  {label:<width$}", width = INDENT - 2);
    let mut column = INDENT;
    for word in terminal::line(text).split(' ') {
        let wide = word.chars().count();
        if column > INDENT && column + 1 + wide > WIDTH {
            out.push_str(&format!("\n{:INDENT$}", ""));
            column = INDENT;
        } else if column > INDENT {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += wide;
    }
    out.push('\n');
    out
}

/// Rows below a heading, each with a note behind it. Words are flush left, numbers right.
pub(super) fn table<const N: usize>(heading: &[&str; N], rows: &[[String; N]], notes: &[String]) -> String {
    let heading = heading.map(str::to_owned);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let all = std::iter::once(&heading).chain(rows);
        all.map(|row: &[String; N]| row[column].chars().count()).max().unwrap_or(0)
    });
    let is_words = |column: usize| column == 0 || heading[column] == "limits";
    let line = |row: &[String; N], note: &str| {
        let mut line = String::new();
        for (column, width) in widths.into_iter().enumerate() {
            match is_words(column) {
                true => line.push_str(&format!("  {:<width$}", row[column])),
                false => line.push_str(&format!("  {:>width$}", row[column])),
            }
        }
        format!("{}\n", format!("{line}  {note}").trim_end())
    };
    let rows: String = rows.iter().zip(notes).map(|(row, note)| line(row, note)).collect();
    format!("\n{}{rows}", line(&heading, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_stay_within_the_width() {
        let text = paragraph("jobs", &"word ".repeat(60));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.starts_with("  jobs     word word"), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("           word")), "{text}");
        assert_eq!(paragraph("jobs", ""), "");
        let long = "x".repeat(200);
        assert_eq!(paragraph("", &long), format!("           {long}\n"));
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["requests/min", "200", "100", "30s"], ["input tokens/min", "100,000", "7", "0.0s"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let notes = ["binds".to_owned(), String::new()];
        let text = table(&["limit", "allows", "needed", "at its speed"], &rows, &notes);
        let expected = "\n  limit              allows  needed  at its speed\n  requests/min          200     100           30s  binds\n  input tokens/min  100,000       7          0.0s\n";
        assert_eq!(text, expected);
    }
}
