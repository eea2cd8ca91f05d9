package blobstore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ParseAttributes reads metadata back, ours and that of Azure Managed Lustre,
// AzCopy and their ancestors, in any case of letters. Keys that are missing are
// zero values. A value that makes no sense is an error that names its key; what
// could be read is returned all the same.
//
// People edit the compatible keys by hand. So where one of those contradicts our
// more exact key, it wins.
func ParseAttributes(md map[string]string) (Attributes, error) {
	p := attributeParser{md: lowerKeys(md)}
	var a Attributes
	p.number32(&a.UID, keyOwner, "posix_owner", "uid")
	p.number32(&a.GID, keyGroup, "posix_group", "gid")
	p.parse(func(v string) (err error) { a.Mode, err = p.permissions(v); return }, keyPermissions, "perm")
	p.parse(func(v string) (err error) { a.ModTime, err = parseModTime(v); return }, keyModTime, "mtime")
	p.parse(func(v string) (err error) { a.IsFolder, err = strconv.ParseBool(v); return }, keyIsFolder)
	p.exactMode(&a.Mode)
	p.exactTime(&a.ModTime)
	p.time(&a.AccessTime, keyATime, "posix_atime")
	p.time(&a.ChangeTime, keyCTime, "posix_ctime")

	p.parse(func(v string) (err error) { a.FSName, err = url.PathUnescape(v); return }, keyFSName)
	p.parse(func(v string) (err error) { a.FID, err = url.PathUnescape(v); return }, keyFID)
	p.parse(func(v string) (err error) { a.DataVersion, err = strconv.ParseUint(v, 10, 64); return }, keyDataVersion)
	p.number32(&a.LinkCount, keyLinkCount)
	p.parse(func(v string) (err error) { a.Cookie, err = strconv.ParseUint(v, 10, 64); return }, keyCookie)
	p.parse(func(v string) (err error) { a.Layout, err = parseLayout(v); return }, keyLayout)
	p.parse(func(v string) (err error) { a.Xattrs, err = parseXattrs(v); return }, keyXattrs)
	p.parse(func(v string) error {
		path, err := base64.StdEncoding.DecodeString(v)
		a.Path = string(path)
		return err
	}, keyPath)
	return a, p.err
}

// attributeParser reads one blob's metadata and collects what is wrong with it.
type attributeParser struct {
	md  map[string]string // keys in lower case
	err error
}

// parse applies f to the value of the first of keys that is there.
func (p *attributeParser) parse(f func(value string) error, keys ...string) {
	for _, key := range keys {
		value, ok := p.md[key]
		if !ok || value == "" {
			continue
		}
		if err := f(value); err != nil {
			p.err = errors.Join(p.err, fmt.Errorf("metadata %s=%q: %w", key, value, err))
		}
		return
	}
}

func (p *attributeParser) number32(n *uint32, keys ...string) {
	p.parse(func(v string) error {
		u, err := strconv.ParseUint(v, 10, 32)
		if err == nil {
			*n = uint32(u)
		}
		return err
	}, keys...)
}

func (p *attributeParser) time(t *time.Time, keys ...string) {
	p.parse(func(v string) (err error) { *t, err = parseTime(v); return }, keys...)
}

// exactMode adds the bits that permissions cannot say.
func (p *attributeParser) exactMode(mode *uint32) {
	p.parse(func(v string) error {
		full, err := strconv.ParseUint(v, 8, 12)
		_, compatible := p.md[keyPermissions]
		if err == nil && (!compatible || uint32(full)&0o1777 == *mode) {
			*mode = uint32(full)
		}
		return err
	}, keyMode)
}

// exactTime adds the nanoseconds that modtime cannot say.
func (p *attributeParser) exactTime(mtime *time.Time) {
	p.parse(func(v string) error {
		t, err := parseTime(v)
		if err == nil && (mtime.IsZero() || mtime.Unix() == t.Unix()) {
			*mtime = t
		}
		return err
	}, keyMTime)
}

// permissions reads a mode as one of its writers wrote it: octal (four digits,
// or in 2019 and 2020 without leading zeros and with Go's type bits above),
// rwxr-x--t, or, by AzCopy in its own style, the whole st_mode in decimal.
func (p *attributeParser) permissions(v string) (uint32, error) {
	if strings.Trim(v, "rwxtT-") == "" && len(v) >= 9 {
		return parseRWX(v)
	}
	if _, azcopy := p.md["posix_owner"]; azcopy {
		n, err := strconv.ParseUint(v, 10, 32)
		return uint32(n) & 0o7777, err
	}
	n, err := strconv.ParseUint(v, 8, 64)
	if len(v) > 4 { // above the nine bits Go has bits of its own
		n &= 0o777
	}
	return uint32(n) & 0o7777, err
}

// parseRWX reads rwxr-x---, with t or T at the end or after it for sticky.
func parseRWX(v string) (mode uint32, err error) {
	if len(v) > 10 || len(v) == 10 && v[9] != 't' {
		return 0, errors.New("too long")
	}
	for i := range 9 {
		mode <<= 1
		switch c := v[i]; {
		case c == "rwx"[i%3]:
			mode |= 1
		case i == 8 && c == 't':
			mode |= 0o1001
		case i == 8 && c == 'T':
			mode |= 0o1000
		case c != '-':
			return 0, fmt.Errorf("%q at %d", c, i)
		}
	}
	if len(v) == 10 {
		mode |= 0o1000
	}
	return mode, nil
}

// parseModTime reads the compatible modtime, and what other tools put there.
func parseModTime(v string) (time.Time, error) {
	for _, layout := range []string{modTimeLayout, "2006-01-02 15:04:05.999999999 -0700 MST", time.RFC3339Nano} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), nil
		}
	}
	return parseTime(v)
}

// parseTime reads our seconds.nanoseconds, and nanoseconds as AzCopy writes them
// in its own style.
func parseTime(v string) (time.Time, error) {
	sec, frac, ours := strings.Cut(v, ".")
	s, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	if !ours {
		return time.Unix(0, s).UTC(), nil
	}
	ns, err := strconv.ParseUint((frac + "000000000")[:9], 10, 32)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(s, int64(ns)).UTC(), nil
}

// parseLayout reads base64. Line breaks alone are a layout of no bytes, which is none.
func parseLayout(v string) ([]byte, error) {
	layout, err := base64.StdEncoding.DecodeString(v)
	if len(layout) == 0 {
		return nil, err
	}
	return layout, err
}

func parseXattrs(v string) (map[string][]byte, error) {
	xattrs := map[string][]byte{}
	for pair := range strings.SplitSeq(v, ",") {
		escaped, encoded, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("no value in %q", pair)
		}
		name, err := url.QueryUnescape(escaped)
		if err != nil {
			return nil, err
		}
		if xattrs[name], err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, err
		}
	}
	return xattrs, nil
}

// lowerKeys gives metadata with its keys in lower case, which is how they were
// written: net/http changes the case of headers it reads.
func lowerKeys(md map[string]string) map[string]string {
	lower := make(map[string]string, len(md))
	for k, v := range md {
		lower[strings.ToLower(k)] = v
	}
	return lower
}
