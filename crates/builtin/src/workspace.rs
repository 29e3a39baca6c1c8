//! The workspace as a server: files, directories, patches and commands, beneath roots that nothing leads out of.
//! Not here: which roots, and whether a call may run.

mod files;
mod list;
mod patch;
mod roots;
