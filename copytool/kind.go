package copytool

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// keepsKeys is a function of the library that came with the release, 2.16, in which the
// nameless file of a restore has the encryption context of the file.
const keepsKeys = "llapi_root_path_open"

// Clients from 2.14.0 to 2.15.2 show in statx that a file is encrypted as Lustre does on
// the wire, LUSTRE_ENCRYPT_FL, later ones also as Linux has it.
const (
	encryptedBefore = 0x00800000 // means nothing else in statx
	isEncrypted     = unix.STATX_ATTR_ENCRYPTED | encryptedBefore
)

// archivable fails for files that an archive could not record, or a restore not bring
// back, before anything is sent.
func (j *job) archivable() error {
	var st unix.Statx_t
	err := control(j.file, func(fd int) error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &st)
	})
	if err != nil {
		return fmt.Errorf("statx: %w", err)
	}
	return kindError(st.Attributes, llapi.Has(keepsKeys))
}

// kindError judges by the attributes of statx.
func kindError(attributes uint64, restoresEncrypted bool) error {
	if why := llapi.FrozenReason(attributes); why != "" {
		return failf(PermissionDenied, "%s", why)
	}
	if attributes&isEncrypted != 0 && !restoresEncrypted {
		return failf(Encrypted, "the file is encrypted, and before Lustre 2.16 liblustreapi restores such a file under another key; update the mover's client")
	}
	return nil
}
