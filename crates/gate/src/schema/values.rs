//! What a value is: its kinds, and whether a number is whole or a multiple of another.

use super::compile::kind;
use crate::pin::tree::Node;

/// The kinds that a value is of.
pub(super) fn kinds(value: &Node<'_>) -> u8 {
    match value {
        Node::Null => kind::NULL,
        Node::Bool(_) => kind::BOOLEAN,
        Node::Number(spelling) if whole(spelling) => kind::NUMBER | kind::INTEGER,
        Node::Number(_) => kind::NUMBER,
        Node::Text(_) | Node::Broken(_) => kind::STRING,
        Node::List(_) => kind::ARRAY,
        Node::Map(_) => kind::OBJECT,
    }
}

/// Whether a number has no fraction, however it is spelled.
fn whole(spelling: &str) -> bool {
    !spelling.contains(['.', 'e', 'E']) || spelling.parse::<f64>().is_ok_and(|number| number.fract() == 0.0)
}

/// Whether the number spelled `number` is a multiple of `of`, which is spelled `shown`.
pub(super) fn multiple(number: &str, of: f64, shown: &str) -> bool {
    if let (Ok(number), Ok(of)) = (number.parse::<i128>(), shown.parse::<i128>()) {
        return of != 0 && number % of == 0;
    }
    let number: f64 = number.parse().unwrap_or(f64::NAN);
    let quotient = number / of;
    if quotient.is_infinite() {
        return number.is_finite() && number % of == 0.0;
    }
    // Decimal fractions have no exact double: 0.3 is no multiple of 0.1 to the last bit.
    (quotient - quotient.round()).abs() <= 1e-9 * quotient.abs().max(1.0)
}
