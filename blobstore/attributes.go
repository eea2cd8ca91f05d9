package blobstore

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Attributes are what a blob's metadata says about the file it was made from.
// Zero values are "unknown", and are not written, but for the owner and the
// mode.
type Attributes struct {
	UID, GID   uint32
	Mode       uint32 // permission bits of st_mode with setuid, setgid and sticky (07777)
	ModTime    time.Time
	AccessTime time.Time
	ChangeTime time.Time
	IsFolder   bool // the blob is the marker of a directory

	FSName      string
	FID         string
	DataVersion uint64
	Layout      []byte // raw lustre.lov
	Xattrs      map[string][]byte
	LinkCount   uint32
	Cookie      uint64 // of the action that wrote the blob
	Path        string // set where the name does not hold the path; see [PathForName]
}

// Metadata keys. The first five are those of Azure Managed Lustre, Microsoft's
// copytool and AzCopy, byte for byte; the others are our own.
const (
	keyOwner       = "owner"
	keyGroup       = "group"
	keyPermissions = "permissions"
	keyModTime     = "modtime"
	keyIsFolder    = "hdi_isfolder"

	keyMode        = "lhsm_mode"
	keyMTime       = "lhsm_mtime"
	keyATime       = "lhsm_atime"
	keyCTime       = "lhsm_ctime"
	keyFSName      = "lhsm_fsname"
	keyFID         = "lhsm_fid"
	keyDataVersion = "lhsm_data_version"
	keyLinkCount   = "lhsm_nlink"
	keyLayout      = "lhsm_layout"
	keyXattrs      = "lhsm_xattrs"
	keyPath        = "lhsm_path"
	keyCookie      = "lhsm_cookie"

	// Written by Upload.
	keyCRC64      = "lhsm_crc64"
	keyUpload     = "lhsm_upload"
	keyZeroBlocks = "lhsm_zero_blocks"
)

// modTimeLayout is how the compatible modtime is written: whole seconds and a
// zone, which for us is always UTC.
const modTimeLayout = "2006-01-02 15:04:05 -0700"

// maxMetadata is Azure's limit on names and values together.
const maxMetadata = 8 << 10

// uploadMetadata is what Upload adds.
const uploadMetadata = len(keyCRC64) + 16 + len(keyUpload) + 2*nonceSize + len(keyZeroBlocks) + len("50000")

// Metadata gives the blob metadata for a, at most 8 KiB with what Upload adds.
// What does not fit is left out, in this order: extended attributes, the longest
// first; layout; times of access and change. The names of those are returned.
//
// The compatible permissions have no setuid and setgid bits, which their readers
// refuse; the full mode and exact times are in keys of our own.
func (a Attributes) Metadata() (md map[string]string, omitted []string) {
	md = map[string]string{
		keyOwner:       strconv.FormatUint(uint64(a.UID), 10),
		keyGroup:       strconv.FormatUint(uint64(a.GID), 10),
		keyPermissions: fmt.Sprintf("%04o", a.Mode&0o1777),
		keyMode:        fmt.Sprintf("%04o", a.Mode&0o7777),
	}
	put := func(key, value string) {
		if value != "" {
			md[key] = value
		}
	}
	if a.IsFolder {
		md[keyIsFolder] = "true"
	}
	if !a.ModTime.IsZero() {
		md[keyModTime] = a.ModTime.UTC().Format(modTimeLayout)
	}
	put(keyMTime, formatTime(a.ModTime))
	put(keyATime, formatTime(a.AccessTime))
	put(keyCTime, formatTime(a.ChangeTime))
	put(keyFSName, asciiValue(a.FSName))
	put(keyFID, asciiValue(a.FID))
	put(keyDataVersion, formatNumber(a.DataVersion))
	put(keyLinkCount, formatNumber(uint64(a.LinkCount)))
	put(keyCookie, formatNumber(a.Cookie))
	put(keyLayout, base64.StdEncoding.EncodeToString(a.Layout))
	put(keyPath, base64.StdEncoding.EncodeToString([]byte(a.Path)))
	return fitMetadata(md, a.Xattrs)
}

// fitMetadata adds the extended attributes and leaves out what makes md too
// large.
func fitMetadata(md map[string]string, xattrs map[string][]byte) (_ map[string]string, omitted []string) {
	const room = maxMetadata - uploadMetadata
	size := metadataSize(md)
	kept := xattrNames(xattrs)
	for len(kept) > 0 && size+len(keyXattrs)+len(formatXattrs(xattrs, kept)) > room {
		omitted = append(omitted, "xattr "+kept[len(kept)-1])
		kept = kept[:len(kept)-1]
	}
	if len(kept) > 0 {
		md[keyXattrs] = formatXattrs(xattrs, kept)
	}
	for _, key := range []string{keyLayout, keyATime, keyCTime} {
		if metadataSize(md) <= room {
			break
		}
		if _, ok := md[key]; ok {
			delete(md, key)
			omitted = append(omitted, strings.TrimPrefix(key, "lhsm_"))
		}
	}
	return md, omitted
}

// metadataSize is the size that Azure limits.
func metadataSize(md map[string]string) (n int) {
	for k, v := range md {
		n += len(k) + len(v)
	}
	return n
}

// xattrNames lists attributes, those with the longest value last.
func xattrNames(xattrs map[string][]byte) []string {
	names := make([]string, 0, len(xattrs))
	for name := range xattrs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := len(xattrs[a]) - len(xattrs[b]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// formatXattrs writes attributes as name=value pairs with commas between: the
// name %-escaped, the value in base64.
func formatXattrs(xattrs map[string][]byte, names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(url.QueryEscape(name))
		b.WriteByte('=')
		b.WriteString(base64.StdEncoding.EncodeToString(xattrs[name]))
	}
	return b.String()
}

// formatTime writes a time as seconds and nanoseconds since 1970, and the zero
// time as nothing.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

// formatNumber writes a number, and zero as nothing.
func formatNumber(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// asciiValue escapes what a header cannot hold, and nothing else: an FID stays
// as it is.
func asciiValue(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
