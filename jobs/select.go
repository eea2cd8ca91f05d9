package jobs

import (
	"fmt"

	"lhsm-azblob/llapi"
)

// skipReason decides by its HSM state whether a regular file needs no archive;
// "" means that it does: it is new, or changed, or the archive has lost its copy.
// What is released and lost has no data left to archive.
func skipReason(flags llapi.StateFlags) Reason {
	switch {
	case flags&llapi.HSNoArchive != 0:
		return SkipNeverArchive
	case flags&llapi.HSReleased != 0:
		return SkipReleased
	case archived(flags):
		return SkipArchived
	}
	return ""
}

// archived tells whether the archive has the file as it is.
func archived(flags llapi.StateFlags) bool {
	return flags&(llapi.HSArchived|llapi.HSDirty|llapi.HSLost) == llapi.HSArchived
}

// conflict tells why a file cannot go to an archive; "" if it can. A file is in
// one archive at a time, and the coordinator refuses another.
func conflict(state llapi.State, archive uint32) string {
	if archive == 0 || state.ArchiveID == 0 || state.ArchiveID == archive || state.Flags&llapi.HSExists == 0 {
		return ""
	}
	return fmt.Sprintf("the file is in archive %d, and Lustre keeps a file in one archive; run the job without an archive id, or remove that copy first (lfs hsm_remove)", state.ArchiveID)
}
