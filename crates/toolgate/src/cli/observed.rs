//! What was seen of bounds, in words. Not here: trying them.

use sandbox::{Observed, Outcome};

/// One sentence for people.
///
/// # Errors
/// The same, where something is possible that should not be.
pub fn told(observed: &Observed) -> Result<String, String> {
    let level = observed.effective.level;
    let breaches: Vec<_> = observed.breaches().map(|row| row.operation.what()).collect();
    if !breaches.is_empty() {
        return Err(format!("under {level} it is still possible to {}", breaches.join("; to ")));
    }
    let came_of = |outcome| observed.rows.iter().filter(move |row| row.observed == Ok(outcome));
    let held = came_of(Outcome::Held).count();
    let open: Vec<_> = came_of(Outcome::Open).map(|row| row.operation.what()).collect();
    Ok(match open.is_empty() {
        true => format!("{level}: {held} forbidden operations were tried and none was possible"),
        false => {
            let open = open.join("; ");
            format!("{level}: {held} forbidden operations were tried and not possible; {level} lets it {open}")
        }
    })
}
