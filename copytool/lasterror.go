package copytool

import (
	"encoding/json"
	"errors"
	"io/fs"
	"time"
	"unicode/utf8"
)

// ErrorXattr is the attribute of a Lustre file that keeps its last failure, so
// that any node can explain it. A success removes it.
const ErrorXattr = "trusted.lhsm_azblob_error"

// maxErrorText bounds the message in it, in bytes.
const maxErrorText = 400

// A LastError is what [ErrorXattr] holds.
type LastError struct {
	Version int       `json:"v"` // 1
	Time    time.Time `json:"t"`
	Op      string    `json:"op"` // ARCHIVE, RESTORE, REMOVE
	Code    Code      `json:"code"`
	Message string    `json:"msg"`
	Host    string    `json:"host"`
}

// note writes or removes the file's last failure, before the coordinator hears
// of the outcome: who sees the action gone finds the reason. It is a service
// that may fail.
func (j *job) note(v Verdict, err error) {
	switch v.Code {
	case Canceled, Forgotten, FileVanished, AlreadyArchived:
		return // says nothing about the file, or has no file to be said of
	case OK:
		if !j.hasError {
			return
		}
		j.hasError = false
		err = j.fs.Set(j.ref, ErrorXattr, nil, SetAny)
	default:
		err = j.setError(v, err)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.log.Debug("note the outcome on the file", "err", err)
	}
}

func (j *job) setError(v Verdict, cause error) error {
	b, err := json.Marshal(LastError{
		Version: 1, Time: time.Now().UTC().Truncate(time.Second), Op: j.t.item.Action.String(), Code: v.Code,
		Message: shorten(cause.Error(), maxErrorText), Host: j.host,
	})
	if err != nil {
		return err
	}
	return j.fs.Set(j.ref, ErrorXattr, b, SetAny)
}

// shorten cuts a text at a rune that ends before size bytes.
func shorten(s string, size int) string {
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return s[:size] + "…"
}
