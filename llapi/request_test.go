package llapi

import (
	"bytes"
	"errors"
	"io/fs"
	"syscall"
	"testing"
)

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func TestRequestEncode(t *testing.T) {
	r := Request{
		Action: UserArchive, ArchiveID: 7, Flags: FlagForce,
		Items: []FID{{0x200000401, 2, 0}, {0x200000401, 3, 0}}, Data: []byte("abc"),
	}
	want := unhex(`
		0a000000 07000000 0100000000000000 02000000 03000000
		0104000002000000 02000000 00000000 0000000000000000 ffffffffffffffff
		0104000002000000 03000000 00000000 0000000000000000 ffffffffffffffff
		616263`)
	if got := r.encode(); !bytes.Equal(got, want) {
		t.Errorf("encode = %x\nwant     %x", got, want)
	}
}

func TestItemsPerCall(t *testing.T) {
	for data, want := range map[int]int{0: 50, 76: 50, 77: 49, 1644: 1, 1645: 0, 1 << 20: 0} {
		got := itemsPerCall(data)
		if got != want {
			t.Errorf("itemsPerCall(%d) = %d, want %d", data, got, want)
		}
		if size := requestHeaderSize + userItemSize*got + data; got > 0 && size > maxRequestBytes {
			t.Errorf("%d items and %d bytes of data are a call of %d bytes", got, data, size)
		}
	}
}

func TestSendRequestTooMuchData(t *testing.T) {
	err := SendRequest("/", Request{Action: UserArchive, Items: make([]FID, 3), Data: make([]byte, 2000)})
	var re *RequestError
	if !errors.As(err, &re) || re.Sent != 0 || re.Failed != 3 || !errors.Is(err, syscall.E2BIG) {
		t.Errorf("SendRequest = %#v, want a RequestError of 3 items, E2BIG", err)
	}
}

func TestErrorUnwraps(t *testing.T) {
	err := check("llapi_fd2fid", -int(syscall.ENOENT))
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v is not fs.ErrNotExist or ENOENT", err)
	}
	if got, want := err.Error(), "llapi_fd2fid: no such file or directory"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	// Some functions return an index or a descriptor.
	if err := check("llapi_get_mdt_index_by_fid", 3); err != nil {
		t.Errorf("a positive result is an error: %v", err)
	}
}

func TestAllLinks(t *testing.T) {
	links := []string{"a", "d/b", "c"}
	get := func(linkno int) (string, int, error) {
		if linkno >= len(links) {
			return "", linkno, &Error{"llapi_fid2path", syscall.ENOENT}
		}
		return links[linkno], min(linkno+1, len(links)-1), nil
	}
	got, err := allLinks(get)
	if err != nil || len(got) != 3 || got[2] != "c" {
		t.Errorf("allLinks = %q, %v", got, err)
	}
	// The others vanish after the first was read.
	got, err = allLinks(func(linkno int) (string, int, error) {
		if linkno > 0 {
			return "", linkno, &Error{"llapi_fid2path", syscall.ENOENT}
		}
		return "a", 1, nil
	})
	if err != nil || len(got) != 1 {
		t.Errorf("after an unlink allLinks = %q, %v", got, err)
	}
	links = nil
	if got, err := allLinks(get); !isNotExist(err) {
		t.Errorf("of no link allLinks = %q, %v", got, err)
	}
}
