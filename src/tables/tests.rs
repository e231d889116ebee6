//! What the parts of tables say together.
