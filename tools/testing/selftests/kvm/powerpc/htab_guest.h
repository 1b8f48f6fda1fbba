/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest with a hash page table that executes a list of commands: hypercalls,
 * loads and stores.
 *
 * It runs in real mode, whose addresses KVM translates by the entries that it
 * makes at the first KVM_RUN (the VRMA): bolted, R and C set, one in the last slot
 * of a group. Only the access of a command is made with translation on, if the
 * command wants that.
 */
#ifndef SELFTEST_KVM_HTAB_GUEST_H
#define SELFTEST_KVM_HTAB_GUEST_H

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "htab_stream.h"

/* Hypercalls, from the PAPR. */
#define H_REMOVE		0x4
#define H_ENTER			0x8
#define H_READ			0xc
#define H_CLEAR_MOD		0x10
#define H_CLEAR_REF		0x14
#define H_PROTECT		0x18
#define H_PAGE_INIT		0x2c
#define H_BULK_REMOVE		0x124

#define H_SUCCESS		0
#define H_PARAMETER		(-4l)
#define H_PTEG_FULL		(-6l)
#define H_NOT_FOUND		(-7l)

/* Flags of hypercalls. */
#define H_EXACT			0x8000000000ul
#define H_AVPN			0x80000000ul
#define H_BULK_REQUEST		0x4000000000000000ul
#define H_BULK_END		0xc000000000000000ul
#define H_ZERO_PAGE		0x8000ul
#define H_COPY_PAGE		0x4000ul

/* What else a command can be: an access to the address, with these bits of MSR. */
#define HTAB_LOAD		0x10000
#define HTAB_STORE		0x10001
#define HTAB_MSR_DR		0x10ul

/* Hypercalls that KVM leaves to us. */
#define HTAB_DONE		0xf004	/* all commands are executed */
#define HTAB_TRAP		0xf008	/* an interrupt that is not expected */

/* More of the second doubleword of an entry. */
#define HTAB_R_PP		0x3ull
#define HTAB_R_PP_RORO		0x3ull
#define HTAB_R_N		0x4ull
#define HTAB_R_KEY_LO		0xe00ull

#define HTAB_VRMA_SLOT		7

/*
 * The guest's memory: vectors, code, what each vCPU executes, and pages for
 * entries to map. KVM maps it in pages of the host's size.
 */
#define HTAB_MEMORY		(4ul << 20)
#define HTAB_CODE		0x4000ul
#define HTAB_AREA		0x10000ul
#define HTAB_AREA_SIZE		0x20000ul
#define HTAB_MAX_VCPUS		3
#define HTAB_PAGES		0x100000ul
#define HTAB_VECTORS_END	0x1000ul

/* The segment of translated accesses: pages of 4 KiB, segments of 256 MiB. */
#define HTAB_EA			0x10000000ul
#define HTAB_VSID		0x123ul
#define HTAB_PAGE_SHIFT		12

struct htab_command {
	uint64_t in[10];	/* r3 to r12: what to do, and its arguments */
	uint64_t out[9];	/* r3 to r11 afterwards */
	uint64_t unused;
};

struct htab_area {
	uint64_t stop;		/* end after the present command */
	uint64_t rounds;		/* how often to execute all commands */
	uint64_t count;			/* of commands */
	uint64_t done;		/* rounds, ever */
	struct htab_command commands[];
};

#define HTAB_MAX_COMMANDS \
	((HTAB_AREA_SIZE - sizeof(struct htab_area)) / sizeof(struct htab_command))

/* r13 is the address of the area. The offsets are those of the two structs. */
asm(".pushsection .rodata, \"a\"\n"
"	.balign	8\n"
"htab_guest:\n"
"	ld	16, 8(13)\n"
"1:	addi	17, 13, 32\n"
"	ld	18, 16(13)\n"
"2:	ld	3, 0(17)\n"
"	ld	4, 8(17)\n"
"	ld	5, 16(17)\n"
"	ld	6, 24(17)\n"
"	ld	7, 32(17)\n"
"	ld	8, 40(17)\n"
"	ld	9, 48(17)\n"
"	ld	10, 56(17)\n"
"	ld	11, 64(17)\n"
"	ld	12, 72(17)\n"
"	srdi.	0, 3, 16\n"
"	bne	5f\n"
"	sc	1\n"
"3:	std	3, 80(17)\n"
"	std	4, 88(17)\n"
"	std	5, 96(17)\n"
"	std	6, 104(17)\n"
"	std	7, 112(17)\n"
"	std	8, 120(17)\n"
"	std	9, 128(17)\n"
"	std	10, 136(17)\n"
"	std	11, 144(17)\n"
"	addi	17, 17, 160\n"
"	ld	3, 0(13)\n"
"	cmpdi	3, 0\n"
"	bne	4f\n"
"	addic.	18, 18, -1\n"
"	bne	2b\n"
"	ld	3, 24(13)\n"
"	addi	3, 3, 1\n"
"	std	3, 24(13)\n"
"	addic.	16, 16, -1\n"
"	bne	1b\n"
"4:	li	3, 0\n"
"	ori	3, 3, 0xf004\n"
"	sc	1\n"
"	b	htab_guest\n"
/* An access: r3 says which, r4 where, r5 what is stored, r6 the bits of MSR. */
"5:	mfmsr	8\n"
"	or	9, 8, 6\n"
"	andi.	0, 3, 1\n"
"	li	3, 0\n"
"	mtmsrd	9\n"
"	isync\n"
"	bne	6f\n"
"	ld	5, 0(4)\n"
"	b	7f\n"
"6:	std	5, 0(4)\n"
"7:	mtmsrd	8\n"
"	isync\n"
"	mr	4, 5\n"
"	b	3b\n"
"htab_guest_end:\n"
/* The interrupts of an access: r3 tells that it was not made. */
"htab_guest_fault:\n"
"	mfsrr0	12\n"
"	addi	12, 12, 4\n"
"	mtsrr0	12\n"
"	li	3, 1\n"
"	rfid\n"
"htab_guest_fault_end:\n"
/* All others. */
"htab_guest_trap:\n"
"	li	3, 0\n"
"	ori	3, 3, 0xf008\n"
"	mfsrr0	4\n"
"	mfsrr1	5\n"
"	bl	8f\n"
"8:	mflr	6\n"
"	sc	1\n"
"	b	.\n"
"htab_guest_trap_end:\n"
"	.popsection\n");

extern const char htab_guest[], htab_guest_end[];
extern const char htab_guest_fault[], htab_guest_fault_end[];
extern const char htab_guest_trap[], htab_guest_trap_end[];

struct htab_vcpu {
	int fd;
	struct kvm_run *run;
	int run_size;
	struct htab_area *area;
	pthread_t thread;
	int result;		/* of the thread */
};

struct htab_guest {
	struct htab_vm vm;
	char *memory;
	int vcpus;
	struct htab_vcpu vcpu[HTAB_MAX_VCPUS];
};

#define HTAB_MSR_SF		0x8000000000000000ul
#define HTAB_MSR_ME		0x1000ul
#define HTAB_LPCR_ILE		0x2000000ul
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HTAB_MSR_LE		1ul
#define HTAB_LPCR_ENDIAN	HTAB_LPCR_ILE
#else
#define HTAB_MSR_LE		0ul
#define HTAB_LPCR_ENDIAN	0ul
#endif

#define HTAB_SLB_VALID		0x8000000ul
#define HTAB_SLB_VSID_SHIFT	12

static inline void htab_copy_code(char *memory)
{
	unsigned long vector;

	for (vector = 0x100; vector < HTAB_VECTORS_END; vector += 0x80)
		memcpy(memory + vector, htab_guest_trap,
		       htab_guest_trap_end - htab_guest_trap);
	for (vector = 0x300; vector <= 0x380; vector += 0x80)
		memcpy(memory + vector, htab_guest_fault,
		       htab_guest_fault_end - htab_guest_fault);
	memcpy(memory + HTAB_CODE, htab_guest, htab_guest_end - htab_guest);
}

static inline int htab_set_slot(struct htab_guest *guest, int slot,
				uint32_t flags, uint64_t gpa, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)guest->memory + gpa,
	};

	return ioctl(guest->vm.vm_fd, KVM_SET_USER_MEMORY_REGION, &region) ?
		-errno : 0;
}

/* All of the memory is there, in pages of the smallest size. */
static inline int htab_add_memory(struct htab_guest *guest)
{
	guest->memory = mmap(NULL, HTAB_MEMORY, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guest->memory == MAP_FAILED)
		return -errno;
	madvise(guest->memory, HTAB_MEMORY, MADV_NOHUGEPAGE);
	memset(guest->memory, 0, HTAB_MEMORY);
	htab_copy_code(guest->memory);
	return htab_set_slot(guest, 0, 0, 0, HTAB_MEMORY);
}

/* Those that read R or C are not enabled of themselves. */
static inline int htab_enable_hcall(struct htab_guest *guest, uint64_t hcall)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_PPC_ENABLE_HCALL,
		.args = { hcall, 1 },
	};

	return ioctl(guest->vm.vm_fd, KVM_ENABLE_CAP, &cap) ? -errno : 0;
}

static inline int htab_set_endian(struct htab_vcpu *vcpu)
{
	uint64_t lpcr;
	struct kvm_one_reg reg = {
		.id = KVM_REG_PPC_LPCR_64,
		.addr = (unsigned long)&lpcr,
	};

	if (ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg))
		return -errno;
	lpcr = (lpcr & ~HTAB_LPCR_ILE) | HTAB_LPCR_ENDIAN;
	return ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg) ? -errno : 0;
}

static inline int htab_set_segment(struct htab_vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -errno;
	sregs.u.s.ppc64.slb[0].slbe = HTAB_EA | HTAB_SLB_VALID;
	sregs.u.s.ppc64.slb[0].slbv = HTAB_VSID << HTAB_SLB_VSID_SHIFT;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) ? -errno : 0;
}

static inline int htab_set_regs(struct htab_vcpu *vcpu, uint64_t area)
{
	struct kvm_regs regs = {
		.pc = HTAB_CODE,
		.msr = HTAB_MSR_SF | HTAB_MSR_ME | HTAB_MSR_LE,
		.gpr[13] = area,
	};

	return ioctl(vcpu->fd, KVM_SET_REGS, &regs) ? -errno : 0;
}

static inline int htab_add_vcpu(struct htab_guest *guest)
{
	struct kvm_enable_cap papr = { .cap = KVM_CAP_PPC_PAPR };
	struct htab_vcpu *vcpu = &guest->vcpu[guest->vcpus];
	uint64_t area = HTAB_AREA + guest->vcpus * HTAB_AREA_SIZE;
	int ret;

	vcpu->fd = ioctl(guest->vm.vm_fd, KVM_CREATE_VCPU, guest->vcpus);
	if (vcpu->fd < 0)
		return -errno;
	vcpu->run_size = ioctl(guest->vm.kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return -errno;
	vcpu->area = (struct htab_area *)(guest->memory + area);
	guest->vcpus++;

	if (ioctl(vcpu->fd, KVM_ENABLE_CAP, &papr))
		return -errno;
	ret = htab_set_endian(vcpu);
	if (!ret)
		ret = htab_set_segment(vcpu);
	return ret ? ret : htab_set_regs(vcpu, area);
}

/*
 * A VM with a hash page table, also on radix hosts, memory, and vCPUs. Returns 0,
 * or -errno.
 */
static inline int htab_guest_create(struct htab_guest *guest, uint32_t order,
				    int vcpus)
{
	int ret;

	memset(guest, 0, sizeof(*guest));
	ret = htab_vm_create(&guest->vm);
	if (!ret)
		ret = htab_allocate(&guest->vm, order);
	if (!ret)
		ret = htab_add_memory(guest);
	if (!ret)
		ret = htab_enable_hcall(guest, H_CLEAR_MOD);
	if (!ret)
		ret = htab_enable_hcall(guest, H_CLEAR_REF);
	while (!ret && guest->vcpus < vcpus)
		ret = htab_add_vcpu(guest);
	return ret;
}

static inline void htab_guest_destroy(struct htab_guest *guest)
{
	while (guest->vcpus--) {
		munmap(guest->vcpu[guest->vcpus].run,
		       guest->vcpu[guest->vcpus].run_size);
		close(guest->vcpu[guest->vcpus].fd);
	}
	htab_vm_destroy(&guest->vm);
	munmap(guest->memory, HTAB_MEMORY);
}

/*
 * Floating-point and vector registers need not survive KVM_RUN under emulation:
 * what the callers keep in them is saved here.
 */
static inline int htab_kvm_run(struct htab_vcpu *vcpu)
{
	int ret = ioctl(vcpu->fd, KVM_RUN, 0);

	asm volatile("" : : :
		"fr14", "fr15", "fr16", "fr17", "fr18", "fr19", "fr20", "fr21",
		"fr22", "fr23", "fr24", "fr25", "fr26", "fr27", "fr28", "fr29",
		"fr30", "fr31", "v20", "v21", "v22", "v23", "v24", "v25",
		"v26", "v27", "v28", "v29", "v30", "v31");
	return ret ? -errno : 0;
}

/* Returns 0 when all commands are executed or it was told to stop. */
static inline int htab_run(struct htab_vcpu *vcpu)
{
	int ret;

	do {
		ret = htab_kvm_run(vcpu);
	} while (ret == -EINTR || ret == -EAGAIN);
	if (ret)
		return ret;
	if (vcpu->run->exit_reason != KVM_EXIT_PAPR_HCALL ||
	    vcpu->run->papr_hcall.nr != HTAB_DONE)
		return -EIO;
	return 0;
}

/* Appends a command, and returns it. */
static inline struct htab_command *htab_command(struct htab_vcpu *vcpu,
						uint64_t what, uint64_t r4,
						uint64_t r5, uint64_t r6,
						uint64_t r7)
{
	struct htab_command *command = &vcpu->area->commands[vcpu->area->count];

	if (vcpu->area->count++ == HTAB_MAX_COMMANDS)
		abort();
	*command = (struct htab_command){ .in = { what, r4, r5, r6, r7 } };
	return command;
}

static inline void htab_no_commands(struct htab_vcpu *vcpu)
{
	vcpu->area->stop = 0;
	vcpu->area->count = 0;
	vcpu->area->rounds = 1;
}

/*
 * Executes one command. Returns r3 afterwards, which is what a hypercall returns;
 * the others are found in commands[0].out.
 */
static inline long htab_do(struct htab_vcpu *vcpu, uint64_t what, uint64_t r4,
			   uint64_t r5, uint64_t r6, uint64_t r7)
{
	struct htab_command *command;

	htab_no_commands(vcpu);
	command = htab_command(vcpu, what, r4, r5, r6, r7);
	if (htab_run(vcpu))
		return LONG_MIN;
	return command->out[0];
}

/*
 * Where there is one CPU, the guest has but a small part of it beside threads that
 * always have something to do: let those be nice.
 */
static inline void htab_be_nice(void)
{
	setpriority(PRIO_PROCESS, 0, 10);
}

#define HTAB_ENDED	UINT64_MAX

/* How many rounds the guest has done, or HTAB_ENDED if its thread is at its end. */
static inline uint64_t htab_rounds(struct htab_vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->area->done, __ATOMIC_ACQUIRE);
}

static inline void *htab_thread(void *arg)
{
	struct htab_vcpu *vcpu = arg;

	setpriority(PRIO_PROCESS, 0, 0);
	vcpu->result = htab_run(vcpu);
	/* Nobody has to wait for a round that does not come. */
	__atomic_store_n(&vcpu->area->done, HTAB_ENDED, __ATOMIC_RELEASE);
	return NULL;
}

/* Lets the vCPU execute the commands over and over, in a thread. */
static inline int htab_start(struct htab_vcpu *vcpu)
{
	vcpu->area->stop = 0;
	vcpu->area->done = 0;
	vcpu->area->rounds = UINT64_MAX;
	return -pthread_create(&vcpu->thread, NULL, htab_thread, vcpu);
}

static inline void htab_wait_rounds(struct htab_vcpu *vcpu, uint64_t rounds)
{
	uint64_t now, first = htab_rounds(vcpu);

	do {
		sched_yield();
		now = htab_rounds(vcpu);
	} while (now != HTAB_ENDED && now - first < rounds);
}

static inline int htab_stop(struct htab_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->area->stop, 1, __ATOMIC_RELAXED);
	pthread_join(vcpu->thread, NULL);
	return vcpu->result;
}

/*
 * The entry that maps page @number of the segment to @gpa. The guest may write
 * there; nothing has been accessed yet.
 */
static inline struct htab_entry htab_page(uint64_t number, uint64_t gpa)
{
	uint64_t va = HTAB_VSID << 28 | number << HTAB_PAGE_SHIFT;

	return (struct htab_entry){
		.v = (va >> 23) << HTAB_V_AVPN_SHIFT | HTAB_V_VALID,
		.r = gpa | HTAB_R_M | HTAB_R_PP_RWRW,
	};
}

/* Where it can be found by the hardware: this slot and the seven that follow. */
static inline uint64_t htab_group(uint32_t order, uint64_t number)
{
	uint64_t groups = HTAB_ENTRIES(order) / HTAB_GROUP;

	return ((HTAB_VSID ^ number) & (groups - 1)) * HTAB_GROUP;
}

static inline uint64_t htab_address(uint64_t number)
{
	return HTAB_EA + (number << HTAB_PAGE_SHIFT);
}

static inline long htab_enter(struct htab_vcpu *vcpu, uint64_t index,
			      struct htab_entry entry)
{
	return htab_do(vcpu, H_ENTER, H_EXACT, index, entry.v, entry.r);
}

/* Return 0, or 1 if there is no translation that allows it. */
static inline long htab_load(struct htab_vcpu *vcpu, uint64_t number)
{
	return htab_do(vcpu, HTAB_LOAD, htab_address(number), 0, HTAB_MSR_DR, 0);
}

static inline long htab_store(struct htab_vcpu *vcpu, uint64_t number, uint64_t value)
{
	return htab_do(vcpu, HTAB_STORE, htab_address(number), value, HTAB_MSR_DR, 0);
}

#endif /* SELFTEST_KVM_HTAB_GUEST_H */
