/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the tests of KVM_PRE_FAULT_MEMORY: the kinds of host memory that there
 * are, with a word in each page that tells which page it is.
 */
#ifndef SELFTEST_KVM_PRE_FAULT_MEM_H
#define SELFTEST_KVM_PRE_FAULT_MEM_H

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm_util.h"
#include "test_util.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PF_PAGE		4096ul
#define PF_HUGE		(2ul << 20)
#define PF_HUGE_PAGES	(PF_HUGE / PF_PAGE)

/*
 * Where in a page the word is that the guest reads and writes, and its code.
 * The word comes first: Bochs logs the address of a write, not of its page.
 */
#define PF_WORD		0
#define PF_CODE		8

static inline void pf_write_file(const char *path, const char *text)
{
	int fd = open_path_or_exit(path, O_WRONLY | O_TRUNC);

	TEST_ASSERT(write(fd, text, strlen(text)) == strlen(text),
		    "write of %s", path);
	close(fd);
}

static inline void pf_munmap(void *mem, uint64_t pages)
{
	TEST_ASSERT(!munmap(mem, pages * PF_PAGE), "munmap");
}

static inline uint64_t *pf_word(void *mem, uint64_t page)
{
	return mem + page * PF_PAGE + PF_WORD;
}

static inline void pf_host_writes(void *mem, uint64_t nr, uint64_t seed)
{
	uint64_t i;

	for (i = 0; i < nr; i++)
		WRITE_ONCE(*pf_word(mem, i), seed + i);
}

static inline void pf_host_reads(void *mem, uint64_t nr, uint64_t seed)
{
	uint64_t i, word;

	for (i = 0; i < nr; i++) {
		word = READ_ONCE(*pf_word(mem, i));
		TEST_ASSERT(word == seed + i,
			    "page %lu of the host holds 0x%lx, not 0x%lx",
			    i, word, seed + i);
	}
}

/* Memory that starts at a 2M boundary, as what is mapped by 2M must. */
static inline void *pf_mmap(uint64_t pages, int flags, int fd)
{
	size_t size = pages * PF_PAGE, head;
	void *mem;

	mem = mmap(NULL, size + PF_HUGE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	TEST_ASSERT(mem != MAP_FAILED, "mmap of %zu bytes", size + PF_HUGE);
	head = -(uintptr_t)mem & (PF_HUGE - 1);
	if (head)
		munmap(mem, head);
	munmap(mem + head + size, PF_HUGE - head);

	return mmap(mem + head, size, PROT_READ | PROT_WRITE,
		    flags | MAP_FIXED, fd, 0);
}

/* Private anonymous memory, never huge. */
static inline void *pf_anon(uint64_t pages)
{
	void *mem = pf_mmap(pages, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	TEST_ASSERT(mem != MAP_FAILED, "mmap of anonymous memory");
	if (thp_configured())
		TEST_ASSERT(!madvise(mem, pages * PF_PAGE, MADV_NOHUGEPAGE),
			    "MADV_NOHUGEPAGE");
	return mem;
}

/* A file in memory whose pages hold @seed + page number. */
static inline int pf_file(uint64_t pages, uint64_t seed)
{
	int fd = memfd_create("pre_fault", 0);
	uint64_t i, word;

	TEST_ASSERT(fd >= 0 && !ftruncate(fd, pages * PF_PAGE), "memfd");
	for (i = 0; i < pages; i++) {
		word = seed + i;
		TEST_ASSERT(pwrite(fd, &word, sizeof(word),
				   i * PF_PAGE + PF_WORD) == sizeof(word),
			    "pwrite");
	}

	return fd;
}

/* Adds to the host's pool of huge pages, which is not made smaller again. */
static inline void pf_add_hugetlb(uint64_t nr)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r+");
	unsigned long now;

	if (!file)
		return;

	if (fscanf(file, "%lu", &now) == 1) {
		rewind(file);
		fprintf(file, "%lu\n", now + nr);
	}
	fclose(file);
}

static inline void *pf_try_hugetlb(uint64_t pages)
{
	return pf_mmap(pages, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		       MAP_HUGE_2MB, -1);
}

/* Huge pages of hugetlbfs, MAP_FAILED if the host has too few. */
static inline void *pf_hugetlb(uint64_t pages)
{
	void *mem = pf_try_hugetlb(pages);

	if (mem != MAP_FAILED)
		return mem;

	pf_add_hugetlb(pages / PF_HUGE_PAGES);
	return pf_try_hugetlb(pages);
}

static inline bool pf_thp_is_enabled(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
	char text[64] = "[never]";

	if (!file)
		return false;

	fgets(text, sizeof(text), file);
	fclose(file);
	return !strstr(text, "[never]");
}

/* Populated with THPs, NULL where the host has none. */
static inline void *pf_thp(uint64_t pages)
{
	void *mem;

	if (!pf_thp_is_enabled())
		return NULL;

	mem = pf_mmap(pages, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	TEST_ASSERT(!madvise(mem, pages * PF_PAGE, MADV_HUGEPAGE),
		    "MADV_HUGEPAGE");
	TEST_ASSERT(!madvise(mem, pages * PF_PAGE, MADV_POPULATE_WRITE),
		    "MADV_POPULATE_WRITE");
	return mem;
}

/*
 * What the kernel tells of a page.
 */

/* The 64 bits of @pid's pagemap for the page at @mem. */
static inline uint64_t pf_pagemap_entry(pid_t pid, void *mem)
{
	uint64_t entry;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open_path_or_exit(path, O_RDONLY);
	TEST_ASSERT(pread(fd, &entry, sizeof(entry),
			  (uintptr_t)mem / PF_PAGE * sizeof(entry)) ==
		    sizeof(entry), "pread of %s", path);
	close(fd);
	return entry;
}

#define PF_PAGEMAP_PRESENT	BIT_ULL(63)
#define PF_PAGEMAP_FILE		BIT_ULL(61)
#define PF_PAGEMAP_PFN		GENMASK_ULL(54, 0)

static inline uint64_t pf_host_pfn(pid_t pid, void *mem)
{
	uint64_t entry = pf_pagemap_entry(pid, mem);

	TEST_ASSERT(entry & PF_PAGEMAP_PRESENT, "no page at %p", mem);
	TEST_ASSERT(entry & PF_PAGEMAP_PFN, "pagemap hides the PFN");
	return entry & PF_PAGEMAP_PFN;
}

/*
 * A child that shares all memory until its pipe is closed, and checks then that
 * its copy has not changed.
 */
struct pf_sharer {
	pid_t pid;
	int pipe;
};

static inline struct pf_sharer pf_share_by_fork(void *mem, uint64_t nr,
						uint64_t seed)
{
	struct pf_sharer sharer;
	int fds[2];
	char c;

	TEST_ASSERT(!pipe(fds), "pipe");
	sharer.pid = fork();
	TEST_ASSERT(sharer.pid >= 0, "fork");
	sharer.pipe = fds[1];
	if (!sharer.pid) {
		close(fds[1]);
		TEST_ASSERT(!read(fds[0], &c, 1), "read of the pipe");
		pf_host_reads(mem, nr, seed);
		_exit(0);
	}

	close(fds[0]);
	return sharer;
}

static inline void pf_end_sharer(struct pf_sharer *sharer)
{
	int status;

	close(sharer->pipe);
	ASSERT_EQ(waitpid(sharer->pid, &status, 0), sharer->pid);
	ASSERT_EQ(status, 0);
}

/*
 * KSM
 */
#define PF_KSM	"/sys/kernel/mm/ksm/"

/* Merges at once.  Returns false if there is no KSM. */
static inline bool pf_ksm_start(void)
{
	if (access(PF_KSM "run", W_OK))
		return false;

	pf_write_file(PF_KSM "sleep_millisecs", "0");
	pf_write_file(PF_KSM "pages_to_scan", "10000");
	pf_write_file(PF_KSM "run", "1");
	return true;
}

/* What was merged is no longer. */
static inline void pf_ksm_stop(void)
{
	pf_write_file(PF_KSM "run", "2");
}

static inline unsigned long pf_ksm_pages_sharing(void)
{
	int fd = open_path_or_exit(PF_KSM "pages_sharing", O_RDONLY);
	char text[32] = "";

	TEST_ASSERT(read(fd, text, sizeof(text) - 1) > 0, "read of KSM");
	close(fd);
	return strtoul(text, NULL, 0);
}

/*
 * Pages that are missing until userfaultfd provides them.
 */

/* Returns a descriptor, negative if there is no userfaultfd. */
static inline int pf_watch(void *mem, uint64_t nr)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)mem, .len = nr * PF_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (uffd < 0)
		return uffd;

	TEST_ASSERT(!ioctl(uffd, UFFDIO_API, &api), "UFFDIO_API");
	TEST_ASSERT(!ioctl(uffd, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
	return uffd;
}

/* Returns the page that somebody waits for. */
static inline void *pf_wait_until_missed(int uffd)
{
	struct uffd_msg msg;

	TEST_ASSERT(read(uffd, &msg, sizeof(msg)) == sizeof(msg) &&
		    msg.event == UFFD_EVENT_PAGEFAULT, "read of userfaultfd");
	return (void *)(uintptr_t)msg.arg.pagefault.address;
}

static inline void pf_provide_page(int uffd, void *page, uint64_t word)
{
	static uint64_t source[PF_PAGE / sizeof(uint64_t)] __aligned(PF_PAGE);
	struct uffdio_copy copy = {
		.dst = (uintptr_t)page, .src = (uintptr_t)source,
		.len = PF_PAGE,
	};

	source[PF_WORD / sizeof(uint64_t)] = word;
	TEST_ASSERT(!ioctl(uffd, UFFDIO_COPY, &copy), "UFFDIO_COPY");
}

#endif /* SELFTEST_KVM_PRE_FAULT_MEM_H */
