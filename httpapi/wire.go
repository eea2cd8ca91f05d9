package httpapi

import (
	"cmp"
	"math"
	"time"

	"lhsm-azblob/jobs"
)

// JobRequest asks for a job. Prefixes and Files exclude each other; without
// either, the job is about the whole file system.
type JobRequest struct {
	FilesystemPath *string   `json:"filesystemPath,omitempty"` // one prefix, in the managed service's word
	Prefixes       []string  `json:"prefixes,omitempty"`
	Files          []string  `json:"files,omitempty"`
	PathsEscaped   bool      `json:"pathsEscaped,omitempty"` // of all three
	ArchiveID      uint32    `json:"archiveId,omitempty"`
	DryRun         bool      `json:"dryRun,omitempty"`
	RequestID      string    `json:"requestId,omitempty"`
	IfBusy         jobs.Busy `json:"ifBusy,omitempty"`
	ReportAll      bool      `json:"reportAll,omitempty"`
	Retries        *int      `json:"retries,omitempty"`
}

func (q *JobRequest) spec() (jobs.Spec, error) {
	if q.FilesystemPath != nil {
		if len(q.Prefixes) > 0 {
			return jobs.Spec{}, invalid("filesystemPath", "give filesystemPath or prefixes, not both")
		}
		q.Prefixes = []string{*q.FilesystemPath}
	}
	prefixes, err := unescapePaths("prefixes", q.Prefixes, q.PathsEscaped)
	if err != nil {
		return jobs.Spec{}, err
	}
	files, err := unescapePaths("files", q.Files, q.PathsEscaped)
	if err != nil {
		return jobs.Spec{}, err
	}
	return jobs.Spec{
		Prefixes: prefixes, Files: files, ArchiveID: q.ArchiveID, DryRun: q.DryRun, RequestID: q.RequestID,
		IfBusy: q.IfBusy, ReportAll: q.ReportAll, Retries: q.Retries,
	}, nil
}

// CancelRequest says how a job is to be cancelled.
type CancelRequest struct {
	Drain bool `json:"drain,omitempty"` // let running files end
}

// JobList is a page of jobs, newest first.
type JobList struct {
	Jobs       []Job `json:"jobs"`
	NextBefore int64 `json:"nextBefore,omitempty"` // before= of the next page; none: this is the last
}

// Job is a job as clients see it. Times that have not come are left out.
type Job struct {
	ID           int64      `json:"id"`
	State        jobs.State `json:"state"`
	Finished     bool       `json:"finished"`
	CanCancel    bool       `json:"canCancel"`
	CanRetry     bool       `json:"canRetry"`
	Prefixes     []string   `json:"prefixes"`
	FilesGiven   int64      `json:"filesGiven,omitempty"` // number of a list of files
	PathsEscaped bool       `json:"pathsEscaped,omitempty"`
	ArchiveID    uint32     `json:"archiveId,omitempty"`
	DryRun       bool       `json:"dryRun,omitempty"`
	RequestID    string     `json:"requestId,omitempty"`
	ReportAll    bool       `json:"reportAll,omitempty"`
	RetryOf      int64      `json:"retryOf,omitempty"`

	CreatedTime  *time.Time `json:"createdTime,omitempty"`
	StartedTime  *time.Time `json:"startedTime,omitempty"`
	FinishedTime *time.Time `json:"finishedTime,omitempty"`

	Counters        jobs.Counters `json:"counters"`
	PercentComplete int           `json:"percentComplete"`
	FilesPerSecond  float64       `json:"filesPerSecond"`
	BytesPerSecond  float64       `json:"bytesPerSecond"`
	ETASeconds      int64         `json:"etaSeconds,omitempty"`
	WaitsFor        string        `json:"waitsFor,omitempty"`

	ErrorCode    jobs.Code    `json:"errorCode,omitempty"`
	ErrorMessage string       `json:"errorMessage,omitempty"`
	FirstErrors  []FileResult `json:"firstErrors,omitempty"`
}

// FileResult is what became of a file.
type FileResult struct {
	FilePath    string      `json:"filePath"`
	PathEscaped bool        `json:"pathEscaped,omitempty"`
	FileStatus  jobs.Status `json:"fileStatus"`
	ErrorCode   jobs.Code   `json:"errorCode,omitempty"`
	Message     string      `json:"message,omitempty"`
	FID         string      `json:"fid,omitempty"`
	Size        int64       `json:"size"`
	Attempts    int         `json:"attempts"`
	ETag        string      `json:"etag,omitempty"`
	Time        *time.Time  `json:"time,omitempty"`
}

func wireJob(j jobs.Job) Job {
	prefixes, escaped := EscapePaths(j.Spec.Prefixes)
	w := Job{
		ID: j.ID, State: j.State, Finished: j.State.Finished(),
		CanCancel: !j.State.Finished() && j.State != jobs.Cancelling,
		CanRetry:  j.State.Finished() && j.Counters.FilesFailed > 0 && !j.Spec.DryRun,
		Prefixes:  append([]string{}, prefixes...), FilesGiven: j.Spec.FileCount, PathsEscaped: escaped,
		ArchiveID: j.Spec.ArchiveID, DryRun: j.Spec.DryRun, RequestID: j.Spec.RequestID, ReportAll: j.Spec.ReportAll, RetryOf: j.Spec.RetryOf,
		CreatedTime: moment(j.Created), StartedTime: moment(j.Started), FinishedTime: moment(j.Finished),
		Counters: wireCounters(j.Counters), PercentComplete: j.PercentComplete,
		FilesPerSecond: rounded(j.FilesPerSecond), BytesPerSecond: rounded(j.BytesPerSecond), ETASeconds: int64(math.Ceil(j.ETA.Seconds())),
		WaitsFor: j.WaitsFor, ErrorCode: j.ErrorCode, ErrorMessage: j.ErrorMessage,
	}
	for _, f := range j.FirstErrors {
		w.FirstErrors = append(w.FirstErrors, wireResult(f))
	}
	return w
}

// wireCounters never leaves the table of reasons out.
func wireCounters(c jobs.Counters) jobs.Counters {
	if c.SkippedBy == nil {
		c.SkippedBy = map[jobs.Reason]int64{}
	}
	return c
}

func wireResult(f jobs.FileResult) FileResult {
	paths, escaped := EscapePaths([]string{f.Path})
	return FileResult{
		FilePath: paths[0], PathEscaped: escaped, FileStatus: f.Status, ErrorCode: f.ErrorCode, Message: f.Message,
		FID: f.FID, Size: f.Size, Attempts: f.Attempts, ETag: f.ETag, Time: moment(f.Time),
	}
}

// moment leaves out a time that has not come.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// rounded makes a rate that JSON can carry and people can read.
func rounded(rate float64) float64 {
	if math.IsNaN(rate) || math.IsInf(rate, 0) {
		return 0
	}
	return math.Round(rate*10) / 10
}

// firstPrefix is what the managed service calls the path of a job.
func firstPrefix(j jobs.Job) string {
	if len(j.Spec.Prefixes) == 0 {
		return "/"
	}
	texts, _ := EscapePaths(j.Spec.Prefixes[:1])
	return cmp.Or(texts[0], "/")
}

// Explanation is what is known of a file.
type Explanation struct {
	jobs.Explanation
	PathEscaped bool `json:"pathEscaped,omitempty"`
}

func wireExplanation(e jobs.Explanation) Explanation {
	paths, escaped := EscapePaths([]string{e.Path})
	e.Path = paths[0]
	e.Flags = append([]string{}, e.Flags...)
	return Explanation{e, escaped}
}
