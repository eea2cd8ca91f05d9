// Package azurite starts Azurite, the Blob service emulator, for tests and for
// the demo.
//
// One Azurite serves a whole test process: [Start] starts it on first use, on a
// free port and with its data in memory, and gives every later caller the same
// [Server]. Tests keep apart by using a container each ([Server.NewContainer]).
// The emulator dies with the test process, whatever ends that: the kernel kills
// it when the thread that started it goes away.
//
// What is missing on disk is installed first, by install.sh beside this file,
// into build/azurite. A machine that cannot run it skips the tests, unless
// TESTENV_REQUIRE names azurite: then they fail.
package azurite
