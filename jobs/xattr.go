package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// What a copytool notes on a file. Other copytools note nothing.
const (
	identityXattr = "trusted.lhsm_azblob"       // which blob is the file's copy
	errorXattr    = "trusted.lhsm_azblob_error" // the last failure; a success removes it
)

// parseLastError decodes the value of errorXattr.
func parseLastError(b []byte) (LastError, error) {
	var f struct {
		Version int       `json:"v"`
		Time    time.Time `json:"t"`
		Op      string    `json:"op"`
		Code    Code      `json:"code"`
		Message string    `json:"msg"`
		Host    string    `json:"host"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return LastError{}, fmt.Errorf("parse %s: %w", errorXattr, err)
	}
	if f.Version != 1 || f.Code == "" {
		return LastError{}, fmt.Errorf("parse %s: form %d with code %q, this program knows form 1", errorXattr, f.Version, f.Code)
	}
	return LastError{f.Time, f.Op, f.Code, f.Message, f.Host}, nil
}

// parseCopied decodes of an identityXattr of which data version of the file the copy is.
func parseCopied(b []byte) (version uint64, err error) {
	var f struct {
		DataVersion uint64 `json:"dv"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return 0, fmt.Errorf("parse %s: %w", identityXattr, err)
	}
	return f.DataVersion, nil
}

// parseIdentity decodes what a reader wants to know of identityXattr.
func parseIdentity(b []byte) (BlobCopy, error) {
	var f struct {
		Version   int       `json:"v"`
		Account   string    `json:"acct"`
		Container string    `json:"ctr"`
		Name      string    `json:"name"`
		ETag      string    `json:"etag"`
		VersionID string    `json:"ver"`
		Size      int64     `json:"size"`
		CRC64     string    `json:"crc"`
		Time      time.Time `json:"t"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return BlobCopy{}, fmt.Errorf("parse %s: %w", identityXattr, err)
	}
	if f.Version != 1 {
		return BlobCopy{}, fmt.Errorf("parse %s: form %d, this program knows form 1", identityXattr, f.Version)
	}
	if f.Name == "" || f.Size < 0 {
		return BlobCopy{}, errors.New("parse " + identityXattr + ": it names no blob")
	}
	return BlobCopy{f.Account, f.Container, f.Name, f.ETag, f.VersionID, f.Size, f.CRC64, f.Time}, nil
}
