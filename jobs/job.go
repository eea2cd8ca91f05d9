package jobs

import "time"

// A State is where a job is. The words are those of the managed service, with
// its spelling, and Queued and CompletedPartial of our own.
type State string

// The states. A job goes down this list and skips some; the last four are ends.
const (
	Queued           State = "Queued"           // another job has the file system
	FSScanInProgress State = "FSScanInProgress" // files are still looked for; those found are archived meanwhile
	InProgress       State = "InProgress"       // every file is found, not every file is accounted for
	Cancelling       State = "Cancelling"
	Canceled         State = "Canceled"
	Completed        State = "Completed"        // every file that had to go is in the archive
	CompletedPartial State = "CompletedPartial" // the same, but for the failures that are listed
	Failed           State = "Failed"           // the job could not go on; ErrorCode and ErrorMessage say why
)

// Finished tells whether s is an end.
func (s State) Finished() bool {
	return s == Canceled || s == Completed || s == CompletedPartial || s == Failed
}

// A Busy says what [Manager.Create] does while another job has the file system.
type Busy string

// What to do while another job has the file system.
const (
	BusyQueue Busy = "queue" // wait for one's turn
	BusyFail  Busy = "fail"  // refuse with [ErrBusy]
)

// A Spec is what a job was asked to do.
type Spec struct {
	// Prefixes choose files by the beginning of their path, as strings: "/data"
	// chooses /data/x, /data2/x and /data.txt. They are paths from the root of the
	// file system; with the mount point before them is accepted too. Without any
	// (and without Files) it is "/". A file that several choose counts once.
	Prefixes []string `json:"prefixes,omitempty"`
	// Files are exact paths, in place of Prefixes. They are stored, and not part of
	// the Spec of a [Job], whose FileCount is their number.
	Files     []string `json:"files,omitempty"`
	FileCount int64    `json:"fileCount,omitempty"`
	// ArchiveID is the archive to put files into; 0: a file's own, else the
	// file system's default.
	ArchiveID uint32 `json:"archiveId,omitempty"`
	// DryRun counts and lists what would be archived, and submits nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// RequestID makes creation idempotent: the same one gives the same job.
	RequestID string `json:"requestId,omitempty"`
	IfBusy    Busy   `json:"ifBusy,omitempty"` // default BusyQueue
	// ReportAll keeps a result of every file that had to go, not only of failures.
	ReportAll bool `json:"reportAll,omitempty"`
	// Retries is how often a file is asked for again that changed while it was
	// copied, or whose request came to nothing. nil: 3.
	Retries *int `json:"retries,omitempty"`
	// RetryOf is the job whose failures this one tries again; see [Manager.Retry].
	RetryOf int64 `json:"retryOf,omitempty"`
}

// A Reason is why a file needs no archive.
type Reason string

// The reasons, as [Counters] counts them.
const (
	SkipArchived     Reason = "archived"     // archived and unchanged since
	SkipReleased     Reason = "released"     // its data are in the archive only
	SkipNeverArchive Reason = "neverArchive" // somebody set the flag (lfs hsm_set --noarchive)
	SkipNotRegular   Reason = "notRegular"   // a symbolic link, a pipe, a socket, a device
	SkipVanished     Reason = "vanished"     // unlinked between the scan and its archive
)

// Counters count files by what became of them, and bytes by the size that the
// files had when they were found. A file with several names counts once; a
// directory is no file. At the end of a job that is no dry run
//
//	Found = Skipped + Exported + Failed + Left
//
// None of them falls while a job runs, with one exception: a service that is
// killed during the scan scans again when it is back, and then counts what is
// skipped anew.
type Counters struct {
	FilesFound   int64 `json:"filesFound"`
	BytesFound   int64 `json:"bytesFound"`
	FilesSkipped int64 `json:"filesSkipped"`
	BytesSkipped int64 `json:"bytesSkipped"`
	// SkippedBy splits FilesSkipped.
	SkippedBy map[Reason]int64 `json:"skippedBy"`
	// FilesSubmitted were asked of the coordinator, once or more.
	FilesSubmitted int64 `json:"filesSubmitted"`
	BytesSubmitted int64 `json:"bytesSubmitted"`
	// FilesExported are in the archive, by this job's request or somebody else's.
	FilesExported int64 `json:"filesExported"`
	BytesExported int64 `json:"bytesExported"`
	FilesFailed   int64 `json:"filesFailed"`
	BytesFailed   int64 `json:"bytesFailed"`
	// FilesChangedDuringCopy are those of FilesFailed that changed in each attempt.
	FilesChangedDuringCopy int64 `json:"filesChangedDuringCopy"`
	// FilesRetried is how many requests were made again.
	FilesRetried int64 `json:"filesRetried"`
	// FilesLeft were found and not done when the job was cancelled.
	FilesLeft int64 `json:"filesLeft"`
	BytesLeft int64 `json:"bytesLeft"`
}

// A Job is a job at one moment.
type Job struct {
	ID       int64     `json:"id"`
	Spec     Spec      `json:"spec"`
	State    State     `json:"state"`
	Created  time.Time `json:"created"`
	Started  time.Time `json:"started,omitzero"`  // zero while it is queued
	Finished time.Time `json:"finished,omitzero"` // zero until then
	Counters Counters  `json:"counters"`
	// PercentComplete is what is done of the files that had to go, by files or by
	// bytes, whichever is less. During the scan it is of what has been found so
	// far, and may fall. It is 100 for a job that ended Completed or
	// CompletedPartial, and for no other.
	PercentComplete int `json:"percentComplete"`
	// FilesPerSecond and BytesPerSecond are of the last half minute while the job
	// runs, and of the whole job when it is over.
	FilesPerSecond float64 `json:"filesPerSecond"`
	BytesPerSecond float64 `json:"bytesPerSecond"`
	// ETA is the time left at that rate; 0 while the scan runs or nothing moves: unknown.
	ETA time.Duration `json:"eta"`
	// WaitsFor says in one sentence why the job does not move now; "" when it does.
	WaitsFor string `json:"waitsFor,omitempty"`
	// ErrorCode and ErrorMessage say why a job Failed, and what a cancelled one
	// could not withdraw.
	ErrorCode    Code   `json:"errorCode,omitempty"`
	ErrorMessage string `json:"errorMessage,omitempty"`
	// FirstErrors are the first failures, ten at most.
	FirstErrors []FileResult `json:"firstErrors,omitempty"`
}

// A Status is what became of a file.
type Status string

// The statuses.
const (
	StatusExported    Status = "Exported"
	StatusSkipped     Status = "Skipped" // it vanished before it could be archived
	StatusFailed      Status = "Failed"
	StatusChanged     Status = "ChangedDuringCopy" // it changed in each attempt
	StatusLeft        Status = "Left"              // the job was cancelled before
	StatusWouldExport Status = "WouldExport"       // of a dry run
)

// failure tells whether a result belongs into the report of failures.
func (s Status) failure() bool { return s == StatusFailed || s == StatusChanged }

// A FileResult is a line of a job's report.
type FileResult struct {
	Path      string    `json:"filePath"` // from the root of the file system, with a leading slash; bytes, not always UTF-8
	Status    Status    `json:"fileStatus"`
	ErrorCode Code      `json:"errorCode,omitempty"`
	Message   string    `json:"message,omitempty"`
	FID       string    `json:"fid,omitempty"`
	Size      int64     `json:"size"` // bytes, when the file was found
	Attempts  int       `json:"attempts"`
	ETag      string    `json:"etag,omitempty"` // of the blob, where the copytool noted it on the file
	Time      time.Time `json:"time"`

	// prefix is what has not been looked at, where what failed is no file.
	prefix string
}

// An Explanation is what is known about one file, for somebody who wonders why
// it is not in the archive, or which blob it is.
type Explanation struct {
	Path      string   `json:"path"` // from the root of the file system
	FID       string   `json:"fid,omitempty"`
	Size      int64    `json:"size"`
	State     string   `json:"state"` // as lfs hsm_state prints it: "(0x00000009) exists archived, archive_id:1"
	Flags     []string `json:"flags"` // the words of it
	ArchiveID uint32   `json:"archiveId,omitempty"`
	// Copy is the blob that the file's identity names; nil if it has none.
	Copy *BlobCopy `json:"copy,omitempty"`
	// Action is what the coordinator does with the file now, such as "ARCHIVE
	// running (1024 bytes moved)"; "NOOP" for nothing.
	Action string `json:"action"`
	// LastError is the last failure that a copytool noted on the file.
	LastError *LastError `json:"lastError,omitempty"`
	// WouldArchive tells whether the next job takes the file, and Why in one sentence.
	WouldArchive bool   `json:"wouldArchive"`
	Why          string `json:"why"`
}

// A BlobCopy is a file's copy, as the copytool noted it on the file.
type BlobCopy struct {
	Account   string    `json:"account"`
	Container string    `json:"container"`
	Blob      string    `json:"blob"`
	ETag      string    `json:"etag"`
	VersionID string    `json:"versionId,omitempty"`
	Size      int64     `json:"size"` // bytes
	CRC64     string    `json:"crc64,omitempty"`
	Time      time.Time `json:"time"`
}

// A LastError is a failure that the copytool noted on a file.
type LastError struct {
	Time    time.Time `json:"time"`
	Op      string    `json:"op"` // ARCHIVE, RESTORE, REMOVE
	Code    Code      `json:"code"`
	Message string    `json:"message"`
	Host    string    `json:"host"`
}
