//! Where the ledger's segments lie.
