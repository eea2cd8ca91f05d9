//go:build lustreheaders

package llapi

/*
#define _GNU_SOURCE
#define LLAPI_REAL_HEADERS
#include "liblustreapi.h"
#include <fcntl.h>
#include <linux/lustre/lustre_kernelcomm.h>
#include <stddef.h>
#include <sys/ioctl.h>

// Everything that the Go files of this package believe of Lustre's structures,
// against the headers of the Lustre that is installed here. Prototypes need no
// line: liblustreapi.h declares each again, which a C compiler refuses when
// the two differ.
//
// The numbers are written twice, here and in Go, because no C constant can
// reach a Go constant without the headers.
#define SIZE(type, n) _Static_assert(sizeof(type) == (n), #type)
#define AT(type, field, n) \
	_Static_assert(offsetof(type, field) == (n), #type "." #field)
#define IS(name, n) _Static_assert((name) == (n), #name)

SIZE(struct lu_fid, 16);
AT(struct lu_fid, f_oid, 8);
AT(struct lu_fid, f_ver, 12);
SIZE(struct hsm_extent, 16);
AT(struct hsm_extent, length, 8);

SIZE(struct hsm_action_list, 32);
IS(HAL_VERSION, 1);
AT(struct hsm_action_list, hal_version, 0);
AT(struct hsm_action_list, hal_count, 4);
AT(struct hsm_action_list, hal_flags, 16);
AT(struct hsm_action_list, hal_archive_id, 24);
AT(struct hsm_action_list, hal_fsname, 32);
SIZE(struct hsm_action_item, 72);
AT(struct hsm_action_item, hai_len, 0);
AT(struct hsm_action_item, hai_action, 4);
AT(struct hsm_action_item, hai_fid, 8);
AT(struct hsm_action_item, hai_dfid, 24);
AT(struct hsm_action_item, hai_extent, 40);
AT(struct hsm_action_item, hai_cookie, 56);
AT(struct hsm_action_item, hai_gid, 64);
AT(struct hsm_action_item, hai_data, 72);

SIZE(struct hsm_request, 24);
AT(struct hsm_request, hr_action, 0);
AT(struct hsm_request, hr_archive_id, 4);
AT(struct hsm_request, hr_flags, 8);
AT(struct hsm_request, hr_itemcount, 16);
AT(struct hsm_request, hr_data_len, 20);
SIZE(struct hsm_user_item, 32);
AT(struct hsm_user_item, hui_fid, 0);
AT(struct hsm_user_item, hui_extent, 16);
AT(struct hsm_user_request, hur_user_item, 24);

SIZE(struct hsm_user_state, 32);
AT(struct hsm_user_state, hus_states, 0);
AT(struct hsm_user_state, hus_archive_id, 4);
SIZE(struct hsm_current_action, 24);
AT(struct hsm_current_action, hca_state, 0);
AT(struct hsm_current_action, hca_action, 4);
AT(struct hsm_current_action, hca_location, 8);
SIZE(struct hsm_progress, 48);
AT(struct hsm_progress, hp_fid, 0);
AT(struct hsm_progress, hp_cookie, 16);
AT(struct hsm_progress, hp_extent, 24);
AT(struct hsm_progress, hp_flags, 40);
AT(struct hsm_progress, hp_errval, 42);

SIZE(struct changelog_rec, 64);
AT(struct changelog_rec, cr_namelen, 0);
AT(struct changelog_rec, cr_flags, 2);
AT(struct changelog_rec, cr_type, 4);
AT(struct changelog_rec, cr_index, 8);
AT(struct changelog_rec, cr_prev, 16);
AT(struct changelog_rec, cr_time, 24);
AT(struct changelog_rec, cr_tfid, 32);
AT(struct changelog_rec, cr_pfid, 48);
SIZE(struct changelog_ext_rename, 32);
SIZE(struct changelog_ext_jobid, 32);
SIZE(struct changelog_ext_extra_flags, 8);
SIZE(struct changelog_ext_uidgid, 16);
SIZE(struct changelog_ext_nid, 24);
SIZE(struct changelog_ext_openmode, 4);
SIZE(struct changelog_ext_xattr, 256);

IS((unsigned int)LL_IOC_HSM_PROGRESS, 0x401866d8);
IS((unsigned int)LL_IOC_HSM_CT_START, 0x401866d5);
SIZE(struct lustre_kernelcomm, 24);
AT(struct lustre_kernelcomm, lk_wfd, 0);
AT(struct lustre_kernelcomm, lk_rfd, 4);
AT(struct lustre_kernelcomm, lk_uid, 8);
AT(struct lustre_kernelcomm, lk_group, 12);
AT(struct lustre_kernelcomm, lk_flags, 20);
IS(KUC_GRP_HSM, 2);
SIZE(struct kuc_hdr, 8);
AT(struct kuc_hdr, kuc_magic, 0);
AT(struct kuc_hdr, kuc_transport, 2);
AT(struct kuc_hdr, kuc_msgtype, 4);
AT(struct kuc_hdr, kuc_msglen, 6);
IS(KUC_MAGIC, 0x191C);
IS(KUC_TRANSPORT_GENERIC, 1);
IS(KUC_TRANSPORT_HSM, 2);
IS(KUC_MSG_SHUTDOWN, 1);
IS(HMT_ACTION_LIST, 100);
IS(LK_FLG_STOP, 1);

IS(HSMA_NONE, 10);
IS(HSMA_ARCHIVE, 20);
IS(HSMA_RESTORE, 21);
IS(HSMA_REMOVE, 22);
IS(HSMA_CANCEL, 23);
IS(HUA_NONE, 1);
IS(HUA_ARCHIVE, 10);
IS(HUA_RESTORE, 11);
IS(HUA_RELEASE, 12);
IS(HUA_REMOVE, 13);
IS(HUA_CANCEL, 14);
IS(HPS_NONE, 0);
IS(HPS_WAITING, 1);
IS(HPS_RUNNING, 2);
IS(HPS_DONE, 3);
IS(HS_EXISTS, 0x01);
IS(HS_DIRTY, 0x02);
IS(HS_RELEASED, 0x04);
IS(HS_ARCHIVED, 0x08);
IS(HS_NORELEASE, 0x10);
IS(HS_NOARCHIVE, 0x20);
IS(HS_LOST, 0x40);
IS(HSM_FORCE_ACTION, 1);
IS(HP_FLAG_RETRY, 2);
IS(LL_DV_RD_FLUSH, 1);
IS(LL_DV_WR_FLUSH, 2);
IS(LOV_USER_MAGIC_V1, 0x0BD10BD0);
IS(LOV_USER_MAGIC_V3, 0x0BD30BD0);
AT(struct lov_user_md_v1, lmm_stripe_offset, 30);
IS(O_LOV_DELAY_CREATE & 0x2100, 0x2100);

IS(CL_MARK, 0);
IS(CL_CREATE, 1);
IS(CL_UNLINK, 6);
IS(CL_RENAME, 8);
IS(CL_OPEN, 10);
IS(CL_CLOSE, 11);
IS(CL_LAYOUT, 12);
IS(CL_TRUNC, 13);
IS(CL_HSM, 16);
IS(CLF_FLAGMASK, 0x0fff);
IS(CLF_RENAME, 0x2000);
IS(CLF_JOBID, 0x4000);
IS(CLF_EXTRA_FLAGS, 0x8000);
IS(CLFE_UIDGID, 1);
IS(CLFE_NID, 2);
IS(CLFE_OPEN, 4);
IS(CLFE_XATTR, 8);
IS(CHANGELOG_FLAG_FOLLOW, 1);
IS(CHANGELOG_FLAG_JOBID, 4);
IS(CHANGELOG_FLAG_EXTRA_FLAGS, 8);
IS(LLAPI_MSG_ERROR, 2);
IS(LLAPI_MSG_WARN, 3);
IS(LLAPI_MSG_INFO, 5);
IS(LLAPI_MSG_NO_ERRNO, 0x10);
*/
import "C"
