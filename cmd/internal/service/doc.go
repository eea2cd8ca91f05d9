// Package service is what our long-running programs have in common: the log,
// and what systemd is told.
package service
