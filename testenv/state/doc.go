// Package state is a model of a Lustre file system with HSM: names, inodes,
// layouts, HSM flags, the HSM coordinator, its agents, and the changelog. It
// has no FUSE in it and never calls its user back; package fusefs puts a mount
// on top, and tests can drive it directly.
//
// # What is where
//
// Names and attributes live here, in memory, and are written to a journal.
// File data live in plain files under BACK/objects that the model creates,
// stats, truncates and removes, but never reads or writes: [Handle.OpenObject]
// hands out descriptors. The "layout" of a file is the number of its object,
// so a restore swaps two numbers.
//
//	BACK/LOCK          flock: one process at a time
//	BACK/meta/snapshot the state at some moment  } same format, see journal.go
//	BACK/meta/journal  every change since then   }
//	BACK/objects/NN/F  data of the file created as FID F
//
// # Data version and dirty
//
// The change time of the object file, in nanoseconds, is what Lustre calls the
// data version: nothing but writes and truncates may touch it. Times that users
// set are kept in the inode and are valid while the object's change time is the
// one they were set under. So data can be written through any descriptor, also
// one that the kernel uses behind our back, and the model still finds out: at
// the latest when a handle is flushed, which is also when Lustre marks an
// archived file dirty.
//
// # Concurrency
//
// One mutex guards everything and is held for microseconds. The calls that wait
// (WaitRestored, Agent.Recv, WaitIdle, ChangelogWait, and CopyEnd in one case)
// hold nothing while they do. Messages to copytools go into a queue per agent.
// One goroutine, the coordinator, dispatches requests; it uses package time
// only, so that testing/synctest can drive it.
//
// # Durability
//
// A mutation is one record, appended with write(2) before the call returns. It
// is not synced: the state survives the death of the daemon, not of the
// machine. Agents, open handles, blocked readers and volatile files are not
// kept, as they do not survive in Lustre either.
//
// Errors are errnos ([syscall.Errno]), as Lustre returns them.
package state
