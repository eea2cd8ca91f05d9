// Lhsmctl archives trees of a Lustre file system: it makes jobs, watches them
// and cancels them. `lhsmctl serve` is the service that works on the jobs; all
// other commands are its clients, over HTTP, and need neither root nor Lustre's
// library.
//
// This package only wires. What a job is and does is in package jobs, what the
// service answers in package httpapi.
package main

import (
	"context"
	"os"
)

// version is set by the linker.
var version = "unknown"

func main() {
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ()}
	os.Exit(p.run(context.Background(), os.Args))
}
