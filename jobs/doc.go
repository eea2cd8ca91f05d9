// Package jobs archives whole trees: it finds the files whose archive is
// missing or old, asks the HSM coordinator for them, and follows each until it
// is in the archive or is known not to get there.
//
// A [Manager] has the jobs of one file system and runs one at a time. It knows
// neither HTTP nor storage, and copies nothing itself: it is a client of the
// coordinator, as lfs is, and any copytool may do the work.
package jobs
