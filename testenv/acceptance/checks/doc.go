// Package checks holds what must be true of every installation: a Lustre file
// system, a copytool that serves it, and a container. A check types lfs
// commands, works on files below a directory of its own, and looks into the
// container. It knows nothing of how the three were set up, so the same checks
// run in the tests, on the stand-in, and on an administrator's own file system,
// by the command lhsm-acceptance.
//
// Nothing is waited for but what lfs shows: hsm_action says when the coordinator
// has no more to do with a file. The context of a check bounds every wait, also
// that of a read which hangs in the kernel.
//
// A few checks need more: a [Gate] between copytool and container, or to be able
// to restart the copytool. Where there is none they are skipped, and say so.
package checks
