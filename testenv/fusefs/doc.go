// Package fusefs shows a state.FS as mounted file systems that answer Lustre's
// ioctls.
//
// It keeps nothing that must survive: the namespace, HSM state and coordinator
// are the state's; here are the open files of each mount, the pipes of its
// copytools, and the translation between FUSE, Lustre's ABI and the state. One
// [FS] has any number of mounts, and each is a Lustre client of its own.
//
// # Data
//
// The data of a file are an object, a plain file in the backing directory.
// There are two kinds of open files:
//
//	passthrough   the kernel reads and writes the object itself; we hear of
//	              open and close only
//	direct        each read and write comes here, nothing is cached
//
// A released file is opened direct, and so is one that could be released now
// (archived and clean): a direct handle follows its file to another object, or
// waits until there is one. A passthrough handle cannot, so it keeps the
// object it was opened on. The rest is passthrough where the kernel has it
// (root, Linux 6.9), because that is as fast as the backing file system.
//
// What follows from this for release: any number of direct handles may be
// open, as on Lustre. Passthrough readers, which are older than the archived
// state, go on reading the data they opened, from an object that has no name
// any more; on Lustre their next read would restore. With a passthrough writer
// the release is refused with EBUSY; Lustre would grant it. (One that has closed
// its descriptor is waited for: the kernel tells of that later.) And a passthrough
// file that has no layout yet takes data, which gives it the default one; on
// Lustre that is EBADF. Mount without passthrough for the exact behaviour.
//
// # Waiting
//
// Reads, writes and truncates of a released file wait for the restore, opens
// do not. FUSE reports any signal to a waiting thread; the wait ends only for
// fatal ones (see block.go).
//
// That is a deliberate difference. On Lustre 2.17.0 nothing ends the wait of a
// reader but the end of a restore: no copytool, and the process ignores even
// SIGKILL, and so does whoever waits for it. Here it can be killed, since
// otherwise a test that fails would leave processes and mounts behind that
// nobody can remove. So do not conclude from the stand-in that `timeout cat`
// of a released file comes back in production, nor that a reader who is killed
// takes his request with him: it stays on record, here as there.
//
// A write or a truncate that waits holds the kernel's lock of the inode, on the
// mount that it came by; Lustre's client has let go of it by then. A copytool
// that sets an attribute of the file on the same mount waits for that lock, and
// the two wait for each other. So where users change released files, give
// copytools a mount of their own.
//
// No lock of this package is held while something waits, while a pipe is
// written, or while the kernel is asked to invalidate a cache: each of these
// can need an answer from us first. A kernel invalidation runs in a goroutine
// of its own for the same reason.
package fusefs
