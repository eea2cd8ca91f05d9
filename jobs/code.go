package jobs

// A Code is the stable name of a failure. Those that a copytool writes on the
// file are passed on as they are; the ones below are the job's own. They are
// never renamed.
type Code string

// The codes of failures that a job finds by itself.
const (
	CodePathNotFound     Code = "PathNotFound"     // nothing begins with the prefix, or the listed file is not there
	CodePermissionDenied Code = "PermissionDenied" // Lustre refuses the request, to list a directory or to open a file; or nobody can set an attribute on the file
	CodeArchiveConflict  Code = "ArchiveConflict"  // the file is in another archive than the one asked for
	CodeFileChanged      Code = "FileChanged"      // it changed in each attempt; archive it when it is quiet
	CodeFileVanished     Code = "FileVanished"     // unlinked before its archive ended
	CodeRequestLost      Code = "RequestLost"      // each request came to an end without a result: purged, timed out, cancelled
	CodeLustreError      Code = "LustreError"      // reading the directory or the file failed; the message tells
	CodeHsmDisabled      Code = "HsmDisabled"      // the file system or the release has no HSM
	CodeNotWithdrawn     Code = "NotWithdrawn"     // a cancelled job's requests are still in the coordinator's queue
	CodeInternal         Code = "Internal"         // none of the above
)
