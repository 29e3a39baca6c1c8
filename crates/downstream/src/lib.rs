//! The faces agents speak to.
