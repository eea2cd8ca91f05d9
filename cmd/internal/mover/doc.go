// Package mover is the configuration of a data mover: what an option of the
// copytool is called, means, defaults to and may be, stands once, in its
// [Table]. The copytool runs by it, and whoever checks a mover reads the same
// file by the same rules, so what is checked is what will run.
package mover

// Program is the copytool's name, as in its messages.
const Program = "lhsmtool_azblob"
