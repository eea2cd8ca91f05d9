package blobstore

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

var fullAttributes = Attributes{
	UID: 1000, GID: 4294967294, Mode: 0o6755,
	ModTime:    time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC),
	AccessTime: time.Unix(-5, 500).UTC(),
	ChangeTime: time.Unix(0, 0).UTC(),
	FSName:     "lustre", FID: "[0x200000401:0x17:0x0]", DataVersion: 1<<63 + 1,
	Layout: []byte{0xd0, 0x0b, 0xd6, 0x0b, 0}, LinkCount: 2, Cookie: 1<<63 + 2, Path: "a\n\xff/b",
	Xattrs: map[string][]byte{"user.a": []byte("x=y,z"), "user.\xff,=% ": {0}, "user.empty": {}},
}

// What other programs read must be what they expect, to the byte.
func TestCompatibleMetadata(t *testing.T) {
	zone := time.FixedZone("east", 2*3600)
	md, omitted := Attributes{UID: 0, GID: 100, Mode: 0o4755, ModTime: time.Date(2024, 5, 6, 9, 8, 9, 5, zone)}.Metadata()
	for key, want := range map[string]string{
		"owner": "0", "group": "100", "permissions": "0755", "modtime": "2024-05-06 07:08:09 +0000",
		"lhsm_mode": "4755", "lhsm_mtime": "1714979289.000000005",
	} {
		if md[key] != want {
			t.Errorf("%s = %q, want %q", key, md[key], want)
		}
	}
	if len(md) != 6 || omitted != nil {
		t.Errorf("more than was asked for: %v, omitted %v", md, omitted)
	}
	folder, _ := Attributes{Mode: 0o1777, IsFolder: true}.Metadata()
	if folder["hdi_isfolder"] != "true" || folder["permissions"] != "1777" {
		t.Errorf("folder: %v", folder)
	}
}

func TestAttributesRoundTrip(t *testing.T) {
	md, omitted := fullAttributes.Metadata()
	if omitted != nil {
		t.Errorf("omitted %v", omitted)
	}
	if md["lhsm_fid"] != fullAttributes.FID {
		t.Errorf("FID is written as %q", md["lhsm_fid"])
	}
	got, err := ParseAttributes(md)
	if err != nil || !reflect.DeepEqual(got, fullAttributes) {
		t.Errorf("read back:\n%+v, %v\nwant\n%+v", got, err, fullAttributes)
	}
	// As net/http hands out the keys.
	canonical := map[string]string{}
	for k, v := range md {
		canonical[strings.ToUpper(k[:1])+k[1:]] = v
	}
	if got, err := ParseAttributes(canonical); err != nil || !reflect.DeepEqual(got, fullAttributes) {
		t.Errorf("with capitals, read back:\n%+v, %v", got, err)
	}
}

func TestMetadataIsPlainASCII(t *testing.T) {
	a := fullAttributes
	a.FSName, a.FID = "ü\n", " %x\x7f"
	md, _ := a.Metadata()
	for k, v := range md {
		for i := range len(v) {
			if c := v[i]; c < ' ' || c >= 0x7f || c == ' ' && k != "modtime" {
				t.Errorf("%s = %q", k, v)
				break
			}
		}
	}
	if got, err := ParseAttributes(md); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("read back %+v, %v", got, err)
	}
}

func TestMetadataFits(t *testing.T) {
	base := fullAttributes
	base.Path = ""
	xattr := func(sizes ...int) map[string][]byte {
		m := map[string][]byte{}
		for i, n := range sizes {
			m[fmt.Sprintf("user.%d", i)] = bytes.Repeat([]byte{1}, n)
		}
		return m
	}
	for _, tt := range []struct {
		name   string
		layout int
		path   int
		xattrs map[string][]byte
		want   []string
	}{
		{"all", 100, 100, xattr(10, 2000, 3000), nil},
		{"largest xattr first", 100, 0, xattr(3000, 100, 5000, 3000), []string{"xattr user.2", "xattr user.3"}},
		{"all xattrs", 5500, 0, xattr(1000), []string{"xattr user.0"}},
		{"layout", 7000, 0, xattr(10), []string{"xattr user.0", "layout"}},
		{"layout for the path", 2500, 4096, xattr(10), []string{"xattr user.0", "layout"}},
		{"times", 10, 5874, xattr(10), []string{"xattr user.0", "layout", "atime"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := base
			a.Layout, a.Path, a.Xattrs = make([]byte, tt.layout), strings.Repeat("x", tt.path), tt.xattrs
			md, omitted := a.Metadata()
			if !reflect.DeepEqual(omitted, tt.want) {
				t.Errorf("omitted %q, want %q", omitted, tt.want)
			}
			if n := metadataSize(md) + uploadMetadata; n > 8<<10 {
				t.Errorf("%d bytes of metadata", n)
			}
			got, err := ParseAttributes(md)
			if err != nil || got.Path != a.Path || got.FID != a.FID || !got.ModTime.Equal(a.ModTime) {
				t.Errorf("read back %+v, %v", got, err)
			}
		})
	}
}

// How those before us wrote it, and those beside us do.
func TestParseForeignMetadata(t *testing.T) {
	mtime := time.Date(2024, 5, 6, 5, 8, 9, 0, time.UTC)
	for name, tt := range map[string]struct {
		md   map[string]string
		want Attributes
	}{
		"none":         {map[string]string{"project": "x"}, Attributes{}},
		"nil":          {nil, Attributes{}},
		"copytool":     {map[string]string{"Owner": "7", "Group": "8", "Permissions": "1755", "Modtime": "2024-05-06 07:08:09 +0200"}, Attributes{UID: 7, GID: 8, Mode: 0o1755, ModTime: mtime}},
		"folder":       {map[string]string{"Hdi_isfolder": "true", "permissions": "rwxr-xr-xt"}, Attributes{IsFolder: true, Mode: 0o1755}},
		"letters":      {map[string]string{"permissions": "rwxrw-r--"}, Attributes{Mode: 0o764}},
		"sticky t":     {map[string]string{"permissions": "rwxrwxrwt"}, Attributes{Mode: 0o1777}},
		"sticky T":     {map[string]string{"permissions": "rwxrwx--T"}, Attributes{Mode: 0o1770}},
		"2019":         {map[string]string{"Perm": "644", "Uid": "1", "Gid": "2", "ModTime": "2024-05-06 07:08:09 +0200 CEST"}, Attributes{UID: 1, GID: 2, Mode: 0o644, ModTime: mtime}},
		"2020 folder":  {map[string]string{"Permissions": "20000000755", "Owner": "1", "Group": "2"}, Attributes{UID: 1, GID: 2, Mode: 0o755}},
		"azcopy":       {map[string]string{"posix_owner": "5", "posix_group": "6", "permissions": "33252", "modtime": "1714972089000000000", "posix_atime": "1714972089000000001"}, Attributes{UID: 5, GID: 6, Mode: 0o744, ModTime: mtime, AccessTime: mtime.Add(1)}},
		"rclone":       {map[string]string{"mtime": "2024-05-06T05:08:09Z"}, Attributes{ModTime: mtime}},
		"edited time":  {map[string]string{"modtime": "2024-05-06 07:08:09 +0200", "lhsm_mtime": "5.5"}, Attributes{ModTime: mtime}},
		"edited mode":  {map[string]string{"permissions": "0600", "lhsm_mode": "4755"}, Attributes{Mode: 0o600}},
		"compat. gone": {map[string]string{"lhsm_mode": "4755", "lhsm_mtime": "1714972089.000000000"}, Attributes{Mode: 0o4755, ModTime: mtime}},
	} {
		got, err := ParseAttributes(tt.md)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
}

func TestParseAttributesNamesWhatIsWrong(t *testing.T) {
	got, err := ParseAttributes(map[string]string{"owner": "root", "group": "5", "lhsm_xattrs": "user.a", "permissions": "rwxrwxrwxx"})
	if err == nil || got.GID != 5 {
		t.Fatalf("%+v, %v: want an error and the group", got, err)
	}
	for _, key := range []string{"owner", "lhsm_xattrs", "permissions"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("error does not name %s: %v", key, err)
		}
	}
}

func FuzzAttributes(f *testing.F) {
	md, _ := fullAttributes.Metadata()
	for k, v := range md {
		f.Add(k, v)
	}
	f.Add("permissions", "rwxrwxrwt")
	f.Add(keyLayout, "\n") // base64 of nothing
	f.Fuzz(func(t *testing.T, key, value string) {
		a, err := ParseAttributes(map[string]string{key: value})
		if err != nil || a.ModTime.Year() > 9999 || a.ModTime.Year() < 0 {
			return // as much as it could read; and modtime has four digits for the year
		}
		md, omitted := a.Metadata()
		again, err := ParseAttributes(md)
		if err != nil || len(omitted) == 0 && !reflect.DeepEqual(again, a) {
			t.Errorf("%s=%q is %+v, written as %v, which is %+v, %v", key, value, a, maps.Collect(maps.All(md)), again, err)
		}
	})
}
