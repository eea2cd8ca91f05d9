// Package manual writes manual pages from what a program knows of itself: its
// options, commands and exit statuses. So a page says what --help says, and
// cannot fall behind.
//
// A [Page] is written from top to bottom in the macros of man(7), the part of
// roff that every reader of manual pages takes. Texts are plain: whatever means
// something to roff is escaped here.
package manual
