#include "CBEiTFilesShim.h"

#ifdef __APPLE__
#include <unistd.h>

bool beitseg_folder_ignores_case(const char *folder) { return pathconf(folder, _PC_CASE_SENSITIVE) == 0; }

#else
#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

// linux/magic.h has most of them, in newer versions all.
static const unsigned long insensitive[] = {
    0x4d44,      // FAT
    0x2011bab0,  // exFAT
    0x5346544e,  // NTFS
    0x7366746e,  // NTFS, the kernel's newer driver
    0x482b,      // HFS+
    0x517b,      // SMB
    0xff534d42,  // CIFS
    0xfe534d42,  // SMB 2
};

// ext4 and f2fs set it for a folder (`chattr +F`).
static bool has_casefold_flag(const char *folder) {
    long flags = 0;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return false;
    bool known = ioctl(descriptor, FS_IOC_GETFLAGS, &flags) == 0;
    close(descriptor);
    return known && (flags & 0x40000000) != 0;
}

bool beitseg_folder_ignores_case(const char *folder) {
    struct statfs system;
    if (statfs(folder, &system) != 0) return false;
    unsigned long type = (unsigned long)system.f_type & 0xffffffffUL;
    for (size_t i = 0; i < sizeof insensitive / sizeof *insensitive; i++)
        if (type == insensitive[i]) return true;
    return has_casefold_flag(folder);
}
#endif
