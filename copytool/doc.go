// Package copytool serves the HSM actions of one Lustre file system: Lustre on
// one side, blobs on the other.
//
// # The life of an action
//
//	coordinator ──list──▶ receive loop ──▶ scheduler ──▶ worker ──▶ exactly one end
//	                       never waits      lanes         archive, restore, remove
//
// The receive loop only files what it gets: the kernel holds locks while its
// pipe is full, and the CANCEL that would free a slot may be the next message.
// The scheduler has a lane for each kind of action with a limit of its own,
// runs one action per file at a time, and hands every action to [Agent].run,
// which ends it once, whatever happens. An action that is cancelled or refused
// before it starts goes the same way, through a lane that only ends things.
//
// # What makes a copy good
//
// A file's copy is the blob that its identity names: an extended attribute
// ([IdentityXattr]) with account, container, name, ETag, size, CRC-64 and data
// version. Paths only choose the name of a first copy; after that a rename, or
// another file at the old path, changes nothing. A blob is published under a
// condition (nobody there, or still the one we know), after a second look at
// the file's data version, and the blob that it replaces lives until then.
//
// The order of an archive is: blob, identity, end. A crash between any two
// leaves a state that the next archive of the file completes: blobs carry the
// file's FID and data version, so a blob without an identity is recognised.
//
// # Two movers and one file
//
// The coordinator sends an archive and a remove of one file to two movers at once, and
// its movers have nothing in common but the file and the container. Lustre has no
// compare-and-set for attributes; what it has is that one can be made only where none
// is. So:
//
//   - The first identity of a file is made in that way.
//   - Who changes or takes away one that is there has the file's claim ([ClaimXattr])
//     meanwhile, an attribute that is made in the same way and says which action has it.
//     A remove has it from before it reads the identity until its end is taken, an
//     archive while it replaces an identity, or finds that the copy is there already.
//   - An identity has the cookies of the archives that rely on it, and a blob that of
//     the archive that wrote it. Before a remove deletes one, all of them must be over
//     at the coordinator, which tells that of any cookie: an action that it does not
//     know cannot end well any more. Until then the remove waits, without a slot.
//   - An archive that made the first identity looks for a claim then. Either it sees
//     that of a remove which is at work, and fails (Busy), or that remove sees the
//     identity, and waits. So neither waits for the other.
//   - Right before it deletes, a remove asks whether it is wanted, looks that the claim is
//     its own, and marks the file dirty, which the end of an archive may have undone.
//
// An archive whose data version is not the file's any more cannot end well, whatever it
// has recorded: the metadata server compares. So two archives have nothing to fear of
// each other but that the older one's record comes last. It is made under the claim,
// where it sees the newer one. Two of the same version share one copy.
//
// Who dies leaves a claim behind, or a cookie. The coordinator tells when its action is
// over, but for an hour after each question it does not find out that nobody is there.
// Hence the others' patience has an end: they end the action in its mover's place, whose
// own end is refused from then on, and go on. What a dead remove has asked the storage
// for may still be on its way. It names an ETag, and the archive that takes its claim
// writes the blob anew.
//
// Of two that take a dead one's claim at once, the one that wrote last has it, and the
// other sees that a second later. What is left is a mover that stands still, between
// two system calls, for longer than that second, while a third one takes over what a
// dead one left; and one that does so for as long as patience lasts between its last
// look and its request to the storage, while an archive finds the copy and uploads
// nothing. Copytools of before there were claims do not heed them: do not let them remove
// beside this one.
//
// # When Lustre is full
//
// A restore that finds no space waits for some, half an hour at most, and as long as
// one waits no other begins that nobody is blocked on: who asks for ten thousand
// files wants those that did not fit when there is room, and not ten thousand
// failures. Where it is only some targets that are full, another nameless file on
// others is tried first, twice. Waiting takes no slot. A blocked reader gets ENOSPC at once; before Lustre
// 2.17 nothing tells readers from other requests, and they wait as well.
//
// # When the process dies
//
// The coordinator sends an action once, and waits an hour for its end. So what was
// received is in a [Journal] before it is scheduled, and until it has ended. The
// next process asks the coordinator about each action that is open in there, lets
// go of those that are over, and does the others as if they had just come: under
// their old cookies, with the blocks that were staged already. Restores can be
// taken over because progress is reported by the file's own FID, which binds
// nothing to the volatile file that died.
//
// What the dead process had not read from its pipe it never knew of. A small second
// process, the keeper, writes that into the journal as soon as the first is gone.
// Only if both are killed at once is it left to the coordinator's timeout.
//
// # When the coordinator is away
//
// It forgets its agents when it is stopped, and tells none. So the registration is
// renewed when nothing has come for some minutes, and at once when an answer shows
// that a coordinator was restarted.
// An end that nobody takes is owed: its action rests without a slot, and the end is
// said again until it is taken, or is news of an action that the coordinator does not
// know. Work that is done is not undone for that, and of archives and removes not done
// twice. When the process stops meanwhile, the journal has it.
//
// # Errors
//
// A handler returns ordinary errors. [VerdictFor] alone turns them into what
// the coordinator is told, and into a [Code] for logs, metrics and the file's
// attribute [ErrorXattr], by which any node can explain a failure.
//
// # What it does not know
//
// It knows neither cgo nor HTTP nor configuration. Lustre is the interfaces
// [FileSystem] and [Session], which [Mount] implements with liblustreapi, and
// storage is [Store], which is a *blobstore.Container. Unit tests put file
// systems and containers in memory in their place.
package copytool
