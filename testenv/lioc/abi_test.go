package lioc

import (
	"encoding/binary"
	"testing"
)

// The numbers in these tables were printed by C programs compiled against the
// headers of Lustre 2.12 to 2.17; they are the same in all of them.

func TestSizes(t *testing.T) {
	for name, tt := range map[string]struct{ got, want int }{
		"lu_fid":               {Size[FID](), 16},
		"hsm_extent":           {Size[Extent](), 16},
		"hsm_action_item":      {Size[Item](), 72},
		"hsm_action_list":      {Size[ListHeader](), 32},
		"hsm_user_state":       {Size[UserState](), 32},
		"hsm_state_set":        {Size[StateSet](), 24},
		"hsm_progress":         {Size[Progress](), 48},
		"hsm_copy":             {Size[Copy](), 88},
		"hsm_user_import":      {Size[UserImport](), 48},
		"hsm_request":          {Size[RequestHeader](), 24},
		"hsm_user_item":        {Size[UserItem](), 32},
		"hsm_current_action":   {Size[CurrentAction](), 24},
		"kuc_hdr":              {Size[Header](), 8},
		"lustre_kernelcomm":    {Size[KernelComm](), 24},
		"ioc_data_version":     {Size[DataVersionArg](), 16},
		"getinfo_fid2path":     {Size[FID2PathArg](), 32},
		"getparent":            {Size[GetParentArg](), 24},
		"lustre_swap_layouts":  {Size[SwapLayoutsArg](), 32},
		"ll_futimes_3":         {Size[FutimesArg](), 48},
		"statx":                {Size[Statx](), 256},
		"lov_user_mds_data_v2": {Size[FileInfo](), 288},
		"hsm_attrs":            {Size[HSMAttr](), 24},
		"lustre_mdt_attrs":     {Size[LMA](), 24},
		"lov_user_md_v1":       {Size[LovUserMD](), LovUserMDSize},
		"lov_user_ost_data_v1": {Size[LovObject](), LovUserEntrySize},
	} {
		if tt.got != tt.want {
			t.Errorf("sizeof %s = %d, want %d", name, tt.got, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	const read, write = 2, 1
	for name, tt := range map[string]struct {
		got            uint32
		dir, size, typ uint32
		nr             uint32
	}{
		"LL_IOC_HSM_STATE_GET":    {HSMStateGet, read, 32, 'f', 211},
		"LL_IOC_HSM_STATE_SET":    {HSMStateSet, write, 24, 'f', 212},
		"LL_IOC_HSM_CT_START":     {HSMCTStart, write, 24, 'f', 213},
		"LL_IOC_HSM_COPY_START":   {HSMCopyStart, write, 8, 'f', 214},
		"LL_IOC_HSM_COPY_END":     {HSMCopyEnd, write, 8, 'f', 215},
		"LL_IOC_HSM_PROGRESS":     {HSMProgress, write, 24, 'f', 216},
		"LL_IOC_HSM_REQUEST":      {HSMRequest, write, 24, 'f', 217},
		"LL_IOC_DATA_VERSION":     {DataVersion, read, 16, 'f', 218},
		"LL_IOC_LOV_SWAP_LAYOUTS": {SwapLayouts, write, 32, 'f', 219},
		"LL_IOC_HSM_ACTION":       {HSMAction, read, 24, 'f', 220},
		"LL_IOC_HSM_IMPORT":       {HSMImport, read | write, 48, 'f', 245},
		"LL_IOC_HSM_DATA_VERSION": {HSMDataVersion, write, 16, 'f', 254},
		"LL_IOC_FID2MDTIDX":       {FID2MDTIdx, read | write, 16, 'f', 248},
		"OBD_IOC_FID2PATH":        {FID2Path, read | write, 8, 'f', 150},
		"LL_IOC_PATH2FID":         {Path2FID, read, 8, 'f', 173},
		"LL_IOC_FUTIMES_3":        {Futimes3, read | write, 48, 'f', 176},
		"LL_IOC_GETPARENT":        {GetParent, read | write, 24, 'f', 249},
		"LL_IOC_GET_MDTIDX":       {GetMDTIdx, read, 8, 'f', 175},
		"LL_IOC_LOV_SETSTRIPE":    {SetStripe, write, 8, 'f', 154},
		"IOC_MDC_GETFILEINFO_V2":  {GetFileInfo, read | write, 320, 'i', 22},
		"IOC_MDC_GETFILESTRIPE":   {GetFileStripe, read | write, 8, 'i', 21},
	} {
		want := tt.dir<<30 | tt.size<<16 | tt.typ<<8 | tt.nr
		if tt.got != want {
			t.Errorf("%s = %#x, want %#x", name, tt.got, want)
		}
	}
}

func TestEnums(t *testing.T) {
	for name, tt := range map[string]struct{ got, want int }{
		"HUA_NONE": {UserNone, 1}, "HUA_ARCHIVE": {UserArchive, 10}, "HUA_RESTORE": {UserRestore, 11},
		"HUA_RELEASE": {UserRelease, 12}, "HUA_REMOVE": {UserRemove, 13}, "HUA_CANCEL": {UserCancel, 14},
		"HSMA_NONE": {ActionNone, 10}, "HSMA_ARCHIVE": {ActionArchive, 20}, "HSMA_RESTORE": {ActionRestore, 21},
		"HSMA_REMOVE": {ActionRemove, 22}, "HSMA_CANCEL": {ActionCancel, 23},
		"HS_EXISTS": {HSExists, 1}, "HS_DIRTY": {HSDirty, 2}, "HS_RELEASED": {HSReleased, 4},
		"HS_ARCHIVED": {HSArchived, 8}, "HS_NORELEASE": {HSNoRelease, 16}, "HS_NOARCHIVE": {HSNoArchive, 32},
		"HS_LOST": {HSLost, 64}, "HP_FLAG_COMPLETED": {CopyCompleted, 1}, "HP_FLAG_RETRY": {CopyRetry, 2},
		"HSS_SETMASK": {SetMask, 1}, "HSS_CLEARMASK": {ClearMask, 2}, "HSS_ARCHIVE_ID": {SetArchiveID, 4},
		"LK_FLG_STOP": {CommStop, 1}, "KUC_MAGIC": {pipeMagic, 0x191c}, "HAL_VERSION": {listVersion, 1},
		"LOV_USER_MAGIC_V1": {LovMagicV1, 0x0BD10BD0}, "LOV_PATTERN_F_RELEASED": {LovReleased, 0x80000000},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %d, want %d", name, tt.got, tt.want)
		}
	}
}

// field is a number that must stand at an offset of an encoded struct.
type field struct {
	name      string
	off, size int
	want      uint64
}

func checkFields(t *testing.T, b []byte, fields []field) {
	t.Helper()
	for _, f := range fields {
		word := make([]byte, 8)
		copy(word, b[f.off:f.off+f.size]) // little endian, as every machine these tests run on
		if got := binary.LittleEndian.Uint64(word); got != f.want {
			t.Errorf("%s at %d = %#x, want %#x", f.name, f.off, got, f.want)
		}
	}
}

var sampleFID = FID{Seq: 0x1122334455667788, OID: 0x99aabbcc, Ver: 0xddeeff01}

func fidFields(name string, off int) []field {
	return []field{
		{name + ".f_seq", off, 8, sampleFID.Seq},
		{name + ".f_oid", off + 8, 4, uint64(sampleFID.OID)},
		{name + ".f_ver", off + 12, 4, uint64(sampleFID.Ver)},
	}
}

func TestItemOffsets(t *testing.T) {
	b := Encode(Item{Len: 72, Action: 20, FID: sampleFID, DFID: sampleFID, Extent: Extent{3, 4}, Cookie: 5, GID: 6})
	checkFields(t, b, append([]field{
		{"hai_len", 0, 4, 72},
		{"hai_action", 4, 4, 20},
		{"hai_extent.offset", 40, 8, 3},
		{"hai_extent.length", 48, 8, 4},
		{"hai_cookie", 56, 8, 5},
		{"hai_gid", 64, 8, 6},
	}, append(fidFields("hai_fid", 8), fidFields("hai_dfid", 24)...)...))
}

func TestListOffsets(t *testing.T) {
	b := Encode(ListHeader{Version: 1, Count: 2, CompoundID: 3, Flags: 4, ArchiveID: 5})
	checkFields(t, b, []field{
		{"hal_version", 0, 4, 1},
		{"hal_count", 4, 4, 2},
		{"hal_compound_id", 8, 8, 3},
		{"hal_flags", 16, 8, 4},
		{"hal_archive_id", 24, 4, 5},
	})
}

func TestStateOffsets(t *testing.T) {
	checkFields(t, Encode(UserState{1, 2, 3, 4, Extent{5, 6}}), []field{
		{"hus_states", 0, 4, 1},
		{"hus_archive_id", 4, 4, 2},
		{"hus_in_progress_state", 8, 4, 3},
		{"hus_in_progress_action", 12, 4, 4},
		{"location.offset", 16, 8, 5},
		{"location.length", 24, 8, 6},
	})
	checkFields(t, Encode(StateSet{1, 2, 3, 4}), []field{
		{"hss_valid", 0, 4, 1}, {"hss_archive_id", 4, 4, 2}, {"hss_setmask", 8, 8, 3}, {"hss_clearmask", 16, 8, 4},
	})
	checkFields(t, Encode(CurrentAction{1, 2, Extent{3, 4}}), []field{
		{"hca_state", 0, 4, 1}, {"hca_action", 4, 4, 2}, {"hca_location.offset", 8, 8, 3}, {"hca_location.length", 16, 8, 4},
	})
	checkFields(t, Encode(HSMAttr{1, 2, 3, 4}), []field{
		{"hsm_compat", 0, 4, 1}, {"hsm_flags", 4, 4, 2}, {"hsm_arch_id", 8, 8, 3}, {"hsm_arch_ver", 16, 8, 4},
	})
}

func TestCopytoolOffsets(t *testing.T) {
	checkFields(t, Encode(KernelComm{1, 2, 3, 4, 5, 6}), []field{
		{"lk_wfd", 0, 4, 1},
		{"lk_rfd", 4, 4, 2},
		{"lk_uid", 8, 4, 3},
		{"lk_group", 12, 4, 4},
		{"lk_data_count", 16, 4, 5},
		{"lk_flags", 20, 4, 6},
	})
	checkFields(t, Encode(Copy{DataVersion: 1, Flags: 2, Errno: 3, Item: Item{FID: sampleFID}}), append([]field{
		{"hc_data_version", 0, 8, 1}, {"hc_flags", 8, 2, 2}, {"hc_errval", 10, 2, 3},
	}, fidFields("hc_hai.hai_fid", 24)...))
	checkFields(t, Encode(Progress{FID: sampleFID, Cookie: 1, Extent: Extent{2, 3}, Flags: 4, Errno: 5}), append([]field{
		{"hp_cookie", 16, 8, 1},
		{"hp_extent.offset", 24, 8, 2},
		{"hp_extent.length", 32, 8, 3},
		{"hp_flags", 40, 2, 4},
		{"hp_errval", 42, 2, 5},
	}, fidFields("hp_fid", 0)...))
}

func TestRequestOffsets(t *testing.T) {
	b := Request{
		Action: 1, ArchiveID: 2, Flags: 3,
		Items: []UserItem{{FID: sampleFID, Extent: Extent{4, 5}}}, Data: []byte("xyz"),
	}.Encode()
	checkFields(t, b, append([]field{
		{"hr_action", 0, 4, 1},
		{"hr_archive_id", 4, 4, 2},
		{"hr_flags", 8, 8, 3},
		{"hr_itemcount", 16, 4, 1},
		{"hr_data_len", 20, 4, 3},
		{"hui_extent.offset", 40, 8, 4},
		{"hui_extent.length", 48, 8, 5},
		{"data", 56, 3, 'x' | 'y'<<8 | 'z'<<16},
	}, fidFields("hui_fid", 24)...))
	if len(b) != 59 {
		t.Errorf("request of one item and 3 bytes takes %d bytes, want 59", len(b))
	}
}

func TestFileOffsets(t *testing.T) {
	checkFields(t, Encode(UserImport{1, 2, 3, 4, 5, 6, 7, 8, 9}), []field{
		{"hui_size", 0, 8, 1},
		{"hui_atime", 8, 8, 2},
		{"hui_mtime", 16, 8, 3},
		{"hui_atime_ns", 24, 4, 4},
		{"hui_mtime_ns", 28, 4, 5},
		{"hui_uid", 32, 4, 6},
		{"hui_gid", 36, 4, 7},
		{"hui_mode", 40, 4, 8},
		{"hui_archive_id", 44, 4, 9},
	})
	checkFields(t, Encode(FutimesArg{1, 2, 3, 4, 5, 6}), []field{
		{"lfu_atime_sec", 0, 8, 1},
		{"lfu_atime_nsec", 8, 8, 2},
		{"lfu_mtime_sec", 16, 8, 3},
		{"lfu_mtime_nsec", 24, 8, 4},
		{"lfu_ctime_sec", 32, 8, 5},
		{"lfu_ctime_nsec", 40, 8, 6},
	})
	checkFields(t, Encode(DataVersionArg{1, 2, 3}), []field{
		{"idv_version", 0, 8, 1}, {"idv_layout_version", 8, 4, 2}, {"idv_flags", 12, 4, 3},
	})
	checkFields(t, Encode(FID2PathArg{sampleFID, 1, 2, 3}), append([]field{
		{"gf_recno", 16, 8, 1}, {"gf_linkno", 24, 4, 2}, {"gf_pathlen", 28, 4, 3},
	}, fidFields("gf_fid", 0)...))
	checkFields(t, Encode(LovUserMD{1, 2, 3, 4, 5, 6, 7}), []field{
		{"lmm_magic", 0, 4, 1},
		{"lmm_pattern", 4, 4, 2},
		{"lmm_oi", 8, 8, 3},
		{"lmm_oi.seq", 16, 8, 4},
		{"lmm_stripe_size", 24, 4, 5},
		{"lmm_stripe_count", 28, 2, 6},
		{"lmm_stripe_offset", 30, 2, 7},
	})
}

func TestFileInfoOffsets(t *testing.T) {
	info := FileInfo{FID: sampleFID, Flags: 7, LmmSize: 8}
	info.Stat = Statx{
		Mask: 1, Blksize: 2, Nlink: 3, UID: 4, GID: 5, Mode: 6, Ino: 9, Size: 10, Blocks: 11,
		Atime: StatxTime{Sec: 12, Nsec: 13}, Ctime: StatxTime{Sec: 14}, Mtime: StatxTime{Sec: 15},
	}
	const stat = 16
	checkFields(t, Encode(info), append([]field{
		{"stx_mask", stat, 4, 1},
		{"stx_blksize", stat + 4, 4, 2},
		{"stx_nlink", stat + 16, 4, 3},
		{"stx_uid", stat + 20, 4, 4},
		{"stx_gid", stat + 24, 4, 5},
		{"stx_mode", stat + 28, 2, 6},
		{"stx_ino", stat + 32, 8, 9},
		{"stx_size", stat + 40, 8, 10},
		{"stx_blocks", stat + 48, 8, 11},
		{"stx_atime.tv_sec", stat + 64, 8, 12},
		{"stx_atime.tv_nsec", stat + 72, 4, 13},
		{"stx_ctime.tv_sec", stat + 96, 8, 14},
		{"stx_mtime.tv_sec", stat + 112, 8, 15},
		{"lmd_flags", 272, 8, 7},
		{"lmd_lmmsize", 280, 4, 8},
	}, fidFields("lmd_fid", 0)...))
}
