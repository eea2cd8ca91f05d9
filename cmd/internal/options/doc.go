// Package options reads the settings of a program from a table: flags,
// environment, configuration file, defaults, help, sample and the print of what
// is in force all come from it, so no two of them can disagree.
//
// A program states its options once, as a [Table] of the type that holds their
// values. [Table.Resolve] puts the sources over each other (flags over
// environment over file over defaults) and remembers where each value came
// from; [Table.Read] turns the texts into settings by each option's [Kind], and
// reports every mistake with its origin. What is not in the table is refused
// wherever it stands: a misspelt setting must not be a silent default.
package options
