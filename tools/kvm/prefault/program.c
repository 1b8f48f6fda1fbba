// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <linux/elf.h>

#include "program.h"

#define SELF		"/proc/self/exe"
/* Of an interpreter of an interpreter of..., as the kernel. */
#define SCRIPTS_MAX	4

/* The start of a file: an ELF header, or the first line of a script. */
union head {
	struct elf64_hdr elf;
	char line[256];
};

static bool is_program(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISREG(status.st_mode) &&
	       !access(path, X_OK);
}

bool program_find(const char *name, char *path, size_t size)
{
	const char *directory = getenv("PATH");
	size_t length;

	if (strchr(name, '/'))
		return snprintf(path, size, "%s", name) < (int)size &&
		       is_program(path);

	if (!directory)
		directory = "/bin:/usr/bin";
	while (true) {
		length = strcspn(directory, ":");
		if (snprintf(path, size, "%.*s%s%s", (int)length, directory,
			     length ? "/" : "", name) < (int)size &&
		    is_program(path))
			return true;
		if (!directory[length])
			return false;
		directory += length + 1;
	}
}

static bool read_at(int fd, void *buffer, size_t size, off_t offset)
{
	return pread(fd, buffer, size, offset) == (ssize_t)size;
}

/* The dynamic linker that an ELF file names, "" if none. */
static void read_linker(int fd, const struct elf64_hdr *elf, char linker[PATH_MAX])
{
	struct elf64_phdr segment;
	int i;

	*linker = '\0';
	for (i = 0; i < elf->e_phnum; i++) {
		if (!read_at(fd, &segment, sizeof(segment),
			     elf->e_phoff + i * sizeof(segment)))
			return;
		if (segment.p_type != PT_INTERP || segment.p_filesz >= PATH_MAX)
			continue;
		if (read_at(fd, linker, segment.p_filesz, segment.p_offset))
			linker[segment.p_filesz] = '\0';
		return;
	}
}

static const char *elf_obstacle(int fd, const struct elf64_hdr *elf)
{
	char linker[PATH_MAX], own_linker[PATH_MAX] = "";
	int self = open(SELF, O_RDONLY | O_CLOEXEC);
	struct elf64_hdr own;

	if (self < 0 || !read_at(self, &own, sizeof(own), 0))
		return "is not known to be of the same kind";
	read_linker(self, &own, own_linker);
	close(self);

	if (elf->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
	    elf->e_machine != own.e_machine)
		return "is for another architecture";

	read_linker(fd, elf, linker);
	if (!*linker)
		return "is statically linked";
	/* This one's own is empty if it is static itself. */
	if (*own_linker && strcmp(linker, own_linker))
		return "uses another dynamic linker";
	return NULL;
}

/* The dynamic linker then takes no libraries from the environment. */
static bool gains_privileges(const char *path)
{
	struct stat status;

	if (stat(path, &status))
		return false;
	return ((status.st_mode & S_ISUID) && status.st_uid != getuid()) ||
	       ((status.st_mode & S_ISGID) && status.st_gid != getgid()) ||
	       getxattr(path, "security.capability", NULL, 0) > 0;
}

static const char *obstacle(const char *path, int scripts);

static const char *script_obstacle(char *line, int scripts)
{
	char *interpreter = line + 2 + strspn(line + 2, " \t");

	interpreter[strcspn(interpreter, " \t\n")] = '\0';
	if (scripts == SCRIPTS_MAX)
		return "is a script of scripts";
	return obstacle(interpreter, scripts + 1);
}

static const char *head_obstacle(int fd, union head *head, int scripts)
{
	ssize_t n = pread(fd, head, sizeof(*head) - 1, 0);

	if (n < 0)
		return "cannot be read";
	((char *)head)[n] = '\0';
	if (!strncmp(head->line, "#!", 2))
		return script_obstacle(head->line, scripts);
	if (n < (ssize_t)sizeof(head->elf) ||
	    memcmp(head->elf.e_ident, ELFMAG, SELFMAG))
		return "is no ELF program";
	return elf_obstacle(fd, &head->elf);
}

static const char *obstacle(const char *path, int scripts)
{
	const char *why;
	union head head;
	int fd;

	if (gains_privileges(path))
		return "is setuid or setgid, or has capabilities";

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "cannot be read";
	why = head_obstacle(fd, &head, scripts);
	close(fd);
	return why;
}

const char *program_obstacle(const char *path)
{
	return obstacle(path, 0);
}
