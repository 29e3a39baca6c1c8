//! Columns of text.

/// Rows under headings, each column as wide as its widest cell.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        Self { rows: vec![headings.into_iter().map(str::to_owned).collect()] }
    }

    /// Adds a row. What moves the cursor or hides is escaped in cells: a row stays a line, and no cell moves the cursor.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell)).collect());
    }

    /// Whether there are no rows under the headings.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The text, two spaces between columns, each line ended.
    pub fn text(&self) -> String {
        self.padded().lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// The same with every line as long as the longest.
    pub fn padded(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<_> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
            format!("{}\n", cells.join("  "))
        };
        self.rows.iter().map(line).collect()
    }
}

/// `cell` with everything escaped that moves the cursor, hides, or turns the direction of reading.
pub(super) fn plain(cell: &str) -> String {
    let escape = |c: char| {
        if c.is_control() || gate::pin::hidden(c) { c.escape_default().to_string() } else { c.to_string() }
    };
    cell.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_cells_stay_in_their_line() {
        let mut table = Table::new(["Name", "Args"]);
        assert!(table.is_empty());
        table.row(["ünï".to_owned(), "a\nb\x1b[2J\u{202e}\u{e0041}".to_owned()]);
        assert!(!table.is_empty());
        assert_eq!(table.text(), "Name  Args\nünï   a\\nb\\u{1b}[2J\\u{202e}\\u{e0041}\n");
    }
}
