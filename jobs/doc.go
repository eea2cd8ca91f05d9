// Package jobs archives whole trees: it finds the files whose archive is
// missing or old, asks the HSM coordinator for them, and follows each until it
// is in the archive or is known not to get there.
//
// A [Manager] has the jobs of one file system and runs one at a time. It knows
// neither HTTP nor storage, and copies nothing itself: it is a client of the
// coordinator, as lfs is, and any copytool may do the work.
//
// # A job
//
//	walk ──▶ lookers ──▶ table of work ──▶ window ──request──▶ coordinator
//	                          (SQLite)        │
//	   exported, failed, changed, vanished ◀──┘ follow by FID, ask again
//
// The scan runs ahead: it lists directories, asks the metadata server for the HSM
// state of each file (which is opened for that, and not read: nothing is restored),
// and puts what has to go into a table. Its memory does not depend on the tree. The
// export takes files from the table, in the order in which they were found,
// and keeps a window of requests at the coordinator that follows what the
// coordinator completes. A job is over when each file of the table is accounted for.
//
// What the coordinator has done is read from the files: their HSM state, and the
// notes that our copytool leaves, of a copy and when an archive fails. Only about a request that
// takes suspiciously long is the coordinator itself asked, because it reads its
// whole log for an answer. That is how requests are found that were purged, timed
// out, or failed under a copytool that leaves no notes.
//
// # Care for the others
//
// Requests for an archive id that nobody serves fill the coordinator's slots and
// stop those of every other id. So the first request of each id goes alone, and
// the rest when that one has begun. If it does not, the rest is put aside, and the
// files of other ids go. When an id was served, and its copytools go away in the middle
// of a job, that does not help: the requests that it has by then, up to a window of
// them, wait, and so do the other ids.
//
// [Job].WaitsFor says in a sentence what keeps a job from moving, and it goes on by
// itself when that is over.
//
// # When the process dies
//
// Before a request is made it is stored that it may have been, and every result
// is stored together with the counters. The next process takes the open ones for
// sent, follows them, and asks the coordinator about those that do not end. A scan
// that was not over begins again; the table knows by FID what was found, so
// nothing counts twice. Errors of the mount and of the database end up in the same
// way: the job waits a little, and then goes on as after a crash.
//
// # Cancelling
//
// The coordinator withdraws a request when it next hands out actions, and not
// before. So a cancelled job does not wait for its last request: it withdraws
// everything, gives what is ending a few seconds, counts what is done and what
// is left, and says if the coordinator still has something of it.
package jobs
