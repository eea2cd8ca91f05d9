package main

import "lhsm-azblob/llapi"

// commands is a function, since the commands refer to what is in it.
func commands() []command {
	return []command{
		{"changelog", (*lfs).changelog, "Show the metadata changes on an MDT.\n" +
			"usage: changelog <mdtname> [startrec [endrec]]"},
		{"changelog_clear", (*lfs).changelogClear, "Indicate that old changelog records up to <endrec> are no longer of " +
			"interest to consumer <id>, allowing the system to free up space.\n" +
			"An <endrec> of 0 means all records.\n" +
			"usage: changelog_clear <mdtname> <id> <endrec>"},
		{"fid2path", (*lfs).fid2path, "Resolve the full path(s) for given FID(s). For a specific hardlink " +
			"specify link number <linkno>.\n" +
			"usage: fid2path [--print0|-0] [--print-fid|-f] [--print-link|-c] " +
			"[--link|-l <linkno>] [--name|-n] <fsname|root> <fid>..."},
		{"path2fid", (*lfs).path2fid, "Display the fid(s) for a given path(s).\n" +
			"usage: path2fid [--parents] <path> ..."},
		{"data_version", (*lfs).dataVersion, "Display file data version or " +
			"set the data version in the HSM xattr for a given path.\n" +
			"usage: data_version [-n|-r|-w|-s] <path>"},
		{"hsm_state", (*lfs).hsmState, "Display the HSM information for given files.\n" +
			"usage: hsm_state FILE"},
		{"hsm_set", (*lfs).hsmSet, "Set HSM user flag on specified files.\n" +
			"usage: hsm_set [--norelease] [--noarchive] [--dirty] [--exists]\n" +
			"\t\t [--archived] [--lost] [--archive-id NUM] FILE"},
		{"hsm_clear", (*lfs).hsmClear, "Clear HSM user flag on specified files.\n" +
			"usage: hsm_clear [--norelease] [--noarchive] [--dirty] [--exists]\n" +
			"\t\t   [--archived] [--lost] FILE"},
		{"hsm_action", (*lfs).hsmAction, "Display current HSM request for given files.\n" +
			"usage: hsm_action FILE"},
		{"hsm_archive", request(llapi.UserArchive), "Archive file to external storage.\n" +
			"usage: hsm_archive [--filelist FILELIST] [--data DATA]\n" +
			"\t\t     [--archive NUM] FILE"},
		{"hsm_restore", request(llapi.UserRestore), "Restore file from external storage.\n" +
			"usage: hsm_restore [--filelist FILELIST] [--data DATA] FILE"},
		{"hsm_release", request(llapi.UserRelease), "Release files from Lustre.\n" +
			"usage: hsm_release [--filelist FILELIST] [--data DATA] FILE"},
		{"hsm_remove", request(llapi.UserRemove), "Remove file copy from external storage.\n" +
			"usage: hsm_remove [--filelist FILELIST] [--data DATA]\n" +
			"\t\t    [--archive NUM]\n" +
			"                  {FILE | --mntpath MOUNTPATH FID}\n\n" +
			"Note: To remove an archived copy of a file already deleted from a " +
			"Lustre FS, --mntpath option and a list of FIDs must be specified"},
		{"hsm_cancel", request(llapi.UserCancel), "Cancel requests related to specified files.\n" +
			"usage: hsm_cancel [--filelist FILELIST] [--data DATA] FILE"},
	}
}

func request(action llapi.UserAction) func(*lfs, []string) int {
	return func(l *lfs, argv []string) int { return l.hsmRequest(argv, action) }
}
