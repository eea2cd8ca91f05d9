package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// How Go's runtime is set where its own defaults suit this program badly.
const (
	// garbage is how much of it there may be, in percent of what is in use. That is
	// little, for little memory beside --memory, whose buffers are not Go's.
	garbage = 20

	// ballastSize is what counts as in use besides, in bytes: a collection after every
	// 2 MiB took a third of the CPU time of a small file.
	ballastSize = 64 << 20

	// A system call of Lustre's waits for a server, and keeps its thread's place to run
	// Go in for as long as the runtime takes to notice. With more places than cores
	// others run meanwhile.
	placesPerCore = 4
	mostPlaces    = 32 // where the cores are not more themselves
)

// tuneRuntime leaves alone what the environment sets. The caller keeps the ballast,
// which is never touched and so takes no memory.
func tuneRuntime() (ballast []byte) {
	if os.Getenv("GOGC") == "" {
		ballast = make([]byte, ballastSize)
		debug.SetGCPercent(garbage)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		cores := runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(max(cores, min(placesPerCore*cores, mostPlaces)))
	}
	return ballast
}
