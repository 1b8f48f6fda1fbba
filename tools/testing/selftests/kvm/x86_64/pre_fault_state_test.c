// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY: in whatever state the vCPU is, either what has been
 * pre-faulted serves the guest (no stage-2 fault follows), or the call fails
 * with EOPNOTSUPP and works again when the vCPU has left that state.
 */
#include <stdio.h>

#include "apic.h"
#include "pre_fault_vm.h"
#include "svm_util.h"
#include "vmx.h"

#define SLOT_SIZE	(16 * PAGE_SIZE)

/* Address space 1 is what a vCPU in SMM sees. */
#define SMM_SLOT(slot)	((1u << 16) | (slot))

static uint64_t base_size(struct kvm_vm *vm)
{
	return memslot2region(vm, 0)->region.memory_size;
}

/* Pre-faults all that pf_guest_code() can touch. */
static void pre_fault_all(struct kvm_vcpu *vcpu)
{
	ASSERT_EQ(pre_fault(vcpu, 0, base_size(vcpu->vm)), 0);
	ASSERT_EQ(pre_fault(vcpu, PF_WARM_GPA, PAGE_SIZE), 0);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);
}

/* From its first instruction on, the guest takes no fault at all. */
static void assert_no_fault_ever(struct kvm_vcpu *vcpu, void *mem)
{
	pf_warm_up(vcpu);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);
	ASSERT_EQ(vcpu_faults(vcpu), 0);
}

static void test_never_run(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);

	pre_fault_all(vcpu);
	assert_no_fault_ever(vcpu, mem);

	kvm_vm_free(vm);
}

/* A vCPU fresh from KVM_CREATE_VCPU, in a VM that is otherwise complete. */
static struct kvm_vm *create_with_raw_vcpu(struct kvm_vcpu **vcpu, void **mem)
{
	struct kvm_vm *vm = vm_create(1);

	pf_vm_setup(vm);
	*mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	*vcpu = __vm_vcpu_add(vm, 0);
	return vm;
}

/* What pf_vm_create()'s vCPU has; it comes from one that the library makes. */
static void set_up_like(struct kvm_vcpu *vcpu, struct kvm_vcpu *model,
			bool between)
{
	struct kvm_mp_state mp_state;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_init_cpuid(vcpu, kvm_get_supported_cpuid());
	if (between)
		pre_fault_all(vcpu);

	vcpu_sregs_get(model, &sregs);
	sregs.apic_base |= MSR_IA32_APICBASE_BSP;
	vcpu_sregs_set(vcpu, &sregs);
	vcpu_regs_get(model, &regs);
	vcpu_regs_set(vcpu, &regs);
	vcpu_mp_state_get(model, &mp_state);
	vcpu_mp_state_set(vcpu, &mp_state);
}

static void run_before_setup(bool between, bool after)
{
	struct kvm_vcpu *vcpu, *model;
	struct kvm_vm *vm;
	void *mem;

	vm = create_with_raw_vcpu(&vcpu, &mem);
	model = vm_vcpu_add(vm, 1, pf_guest_code);
	pf_populate_base(vm);

	pre_fault_all(vcpu);
	set_up_like(vcpu, model, between);
	if (after)
		pre_fault_all(vcpu);
	if (after)
		assert_no_fault_ever(vcpu, mem);
	else
		ASSERT_EQ(pf_guest_touch(vcpu, PF_GPA, SLOT_SIZE, false),
			  pf_sum(mem, SLOT_SIZE));

	kvm_vm_free(vm);
}

/* Roots may go with CPUID and with SREGS; a call afterwards makes up for it. */
static void test_before_and_after_setup(void)
{
	run_before_setup(false, true);
	run_before_setup(true, true);
}

/* Whether anything of it lasts is open, but it must do no harm. */
static void test_before_setup_only(void)
{
	run_before_setup(false, false);
	run_before_setup(true, false);
}

/* A guest address width of its own selects another root. */
static void test_cpuid_changes(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	unsigned int bits;

	for (bits = 52; bits > 32; bits -= 4) {
		vcpu_set_cpuid_maxphyaddr(vcpu, bits);
		pre_fault_all(vcpu);
	}
	vcpu_set_cpuid_maxphyaddr(vcpu, vm->pa_bits);
	pre_fault_all(vcpu);
	assert_no_fault_ever(vcpu, mem);

	kvm_vm_free(vm);
}

/* Paging is the guest's own affair: the same tables serve it in any mode. */
static void test_paging_modes(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	struct kvm_sregs paging, sregs;

	vcpu_sregs_get(vcpu, &paging);
	pre_fault_all(vcpu);

	sregs = paging;
	sregs.cr0 &= ~X86_CR0_PG;
	sregs.efer &= ~(EFER_LMA | EFER_LME);
	sregs.cs.l = 0;
	vcpu_sregs_set(vcpu, &sregs);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);

	vcpu_sregs_set(vcpu, &paging);
	pre_fault_all(vcpu);
	assert_no_fault_ever(vcpu, mem);

	kvm_vm_free(vm);
}

/* Reads a byte of two pages in real mode and says so. */
static const uint8_t real_mode_code[] = {
	0xb8, 0x00, 0x10,	/* mov $0x1000, %ax */
	0x8e, 0xd8,		/* mov %ax, %ds */
	0xa0, 0x00, 0x00,	/* mov 0x0000, %al */
	0x02, 0x06, 0x00, 0x10,	/* add 0x1000, %al */
	0xe6, 0x10,		/* out %al, $0x10 */
};

static void enter_real_mode(struct kvm_vcpu *vcpu)
{
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;

	vcpu_sregs_get(vcpu, &sregs);
	sregs.cs.selector = 0;
	sregs.cs.base = 0;
	vcpu_sregs_set(vcpu, &sregs);
	vcpu_regs_set(vcpu, &regs);
}

/* A guest that has not turned paging on. */
static void test_real_mode(void)
{
	struct kvm_vm *vm = vm_create_barebones();
	struct kvm_vcpu *vcpu = __vm_vcpu_add(vm, 0);
	uint8_t *mem = pf_add_slot(vm, PF_SLOT, 0, 2 * 0x10000);
	struct kvm_run *run = vcpu->run;

	if (is_intel_cpu() && !vm_is_unrestricted_guest(vm)) {
		pf_skip("real mode is emulated");
		kvm_vm_free(vm);
		return;
	}

	memcpy(mem, real_mode_code, sizeof(real_mode_code));
	mem[0x10000] = 3;
	mem[0x11000] = 4;
	enter_real_mode(vcpu);

	ASSERT_EQ(pre_fault(vcpu, 0, 2 * 0x10000), 0);
	vcpu_run(vcpu);
	ASSERT_EQ(run->exit_reason, KVM_EXIT_IO);
	ASSERT_EQ(*((uint8_t *)run + run->io.data_offset), 7);
	ASSERT_EQ(vcpu_faults(vcpu), 0);

	kvm_vm_free(vm);
}

/* The slots change under a root that the vCPU holds and may never run on. */
static void test_slot_changes(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem;
	int i;

	for (i = 0; i < 3; i++) {
		mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
		pre_fault_all(vcpu);
		pf_delete_slot(vm, PF_SLOT);
	}

	mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	pre_fault_all(vcpu);
	assert_no_fault_ever(vcpu, mem);

	pf_delete_slot(vm, PF_SLOT);
	mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	pre_fault_all(vcpu);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
}

/* SMM */

static void set_smm(struct kvm_vcpu *vcpu, bool smm, bool pending)
{
	struct kvm_vcpu_events events;

	vcpu_events_get(vcpu, &events);
	events.flags |= KVM_VCPUEVENT_VALID_SMM;
	events.smi.smm = smm;
	events.smi.pending = pending;
	vcpu_events_set(vcpu, &events);
}

static bool is_in_smm(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	vcpu_events_get(vcpu, &events);
	return events.smi.smm;
}

/* The vCPU is put into SMM from outside and back, without running. */
static void test_smm_by_events(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);

	set_smm(vcpu, true, false);
	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EOPNOTSUPP);
	pf_assert_error(vcpu, PF_GPA, 0, EINVAL);

	set_smm(vcpu, false, false);
	pre_fault_all(vcpu);
	assert_no_fault_ever(vcpu, mem);

	kvm_vm_free(vm);
}

#define SMRAM_GPA	(PF_GPA + (32ull << 20))
#define SMRAM_SIZE	0x10000
#define SMI_PORT	0xe

static const uint8_t smi_handler[] = {
	0xe4, SMI_PORT,		/* in $SMI_PORT, %al */
	0x0f, 0xaa,		/* rsm */
};

/* Runs until the handler is in its port access, and the vCPU thus in SMM. */
static void run_into_smm(struct kvm_vcpu *vcpu)
{
	set_smm(vcpu, false, true);
	vcpu_run(vcpu);
	ASSERT_EQ(vcpu->run->exit_reason, KVM_EXIT_IO);
	ASSERT_EQ(vcpu->run->io.port, SMI_PORT);
	ASSERT_EQ(is_in_smm(vcpu), true);
}

static void test_smm_by_smi(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	void *smram = pf_add_slot(vm, SMM_SLOT(PF_SLOT), SMRAM_GPA, SMRAM_SIZE);

	memcpy(smram + 0x8000, smi_handler, sizeof(smi_handler));
	vcpu_set_msr(vcpu, MSR_IA32_SMBASE, SMRAM_GPA);

	pre_fault_all(vcpu);
	run_into_smm(vcpu);
	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EOPNOTSUPP);
	pf_assert_error(vcpu, SMRAM_GPA, SMRAM_SIZE, EOPNOTSUPP);

	/* RSM is executed in the run that ends with the guest's next report. */
	pf_warm_up(vcpu);
	ASSERT_EQ(is_in_smm(vcpu), false);
	pre_fault_all(vcpu);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
}

/* The other address space is not looked at, nor are its tables touched. */
static void test_address_spaces(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	uint64_t only_smm = PF_GPA + SLOT_SIZE;
	void *mem;

	if (vm_check_cap(vm, KVM_CAP_MULTI_ADDRESS_SPACE) < 2) {
		pf_skip("one address space");
		kvm_vm_free(vm);
		return;
	}

	mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	memset(pf_add_slot(vm, SMM_SLOT(PF_SLOT), PF_GPA, SLOT_SIZE), 0xff,
	       SLOT_SIZE);
	pf_add_slot(vm, SMM_SLOT(PF_SLOT + 1), only_smm, SLOT_SIZE);

	pf_assert_error(vcpu, only_smm, SLOT_SIZE, ENOENT);
	pre_fault_all(vcpu);
	assert_no_fault_ever(vcpu, mem);

	kvm_vm_free(vm);
}

/* Guest mode */

#define L2_STACK_SIZE	64

static void l2_svm_code(void)
{
	GUEST_SYNC(2);
	vmmcall();
}

static void l2_vmx_code(void)
{
	GUEST_SYNC(2);
	vmcall();
}

/* Enters L2 once, then does what pf_guest_code() does. */
static void l1_svm_code(struct svm_test_data *svm, uint64_t nested_cr3)
{
	unsigned long stack[L2_STACK_SIZE];

	generic_svm_setup(svm, l2_svm_code, &stack[L2_STACK_SIZE]);
	if (nested_cr3) {
		svm->vmcb->control.nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
		svm->vmcb->control.nested_cr3 = nested_cr3;
	}
	run_guest(svm->vmcb, svm->vmcb_gpa);
	GUEST_ASSERT(svm->vmcb->control.exit_code == SVM_EXIT_VMMCALL);

	pf_guest_code();
}

static void l1_vmx_code(struct vmx_pages *vmx)
{
	unsigned long stack[L2_STACK_SIZE];

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_vmx_code, &stack[L2_STACK_SIZE]);
	GUEST_ASSERT(!vmlaunch());
	GUEST_ASSERT(vmreadz(VM_EXIT_REASON) == EXIT_REASON_VMCALL);

	pf_guest_code();
}

static uint64_t alloc_table(struct kvm_vm *vm, uint64_t **table)
{
	vm_vaddr_t gva = vm_vaddr_alloc_page(vm);

	*table = addr_gva2hva(vm, gva);
	memset(*table, 0, PAGE_SIZE);
	return addr_gva2gpa(vm, gva);
}

#define NPT_TABLE	7ull		/* present, writable, user */
#define NPT_LARGE	(NPT_TABLE | 0x80)

/* Nested page tables that map the first gigabyte to itself, in huge pages. */
static uint64_t create_npt(struct kvm_vm *vm)
{
	uint64_t *pml4, *pdpt, *pd, root;
	unsigned int i;

	root = alloc_table(vm, &pml4);
	pml4[0] = alloc_table(vm, &pdpt) | NPT_TABLE;
	pdpt[0] = alloc_table(vm, &pd) | NPT_TABLE;
	for (i = 0; i < PAGE_SIZE / sizeof(*pd); i++)
		pd[i] = i * PG_SIZE_2M | NPT_LARGE;

	return root;
}

static struct kvm_vm *create_svm_vm(struct kvm_vcpu **vcpu, bool nested_paging)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, l1_svm_code);
	vm_vaddr_t svm;

	vcpu_alloc_svm(vm, &svm);
	vcpu_args_set(*vcpu, 2, svm, nested_paging ? create_npt(vm) : 0);
	return vm;
}

static struct kvm_vm *create_vmx_vm(struct kvm_vcpu **vcpu, bool nested_paging)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, l1_vmx_code);
	struct vmx_pages *vmx;
	vm_vaddr_t gva;

	vmx = vcpu_alloc_vmx(vm, &gva);
	vcpu_args_set(*vcpu, 1, gva);
	if (!nested_paging)
		return vm;

	if (!kvm_vm_has_ept(vm)) {
		kvm_vm_free(vm);
		return NULL;
	}
	prepare_eptp(vmx, vm, 0);
	nested_map_memslot(vmx, vm, 0);
	return vm;
}

/* NULL, and the case is skipped, if there is no such guest here. */
static struct kvm_vm *create_nested_vm(struct kvm_vcpu **vcpu, bool nested_paging)
{
	struct kvm_vm *vm = NULL;

	if (kvm_cpu_has(X86_FEATURE_SVM) &&
	    (!nested_paging || kvm_cpu_has(X86_FEATURE_NPT)))
		vm = create_svm_vm(vcpu, nested_paging);
	else if (kvm_cpu_has(X86_FEATURE_VMX))
		vm = create_vmx_vm(vcpu, nested_paging);

	if (vm)
		pf_vm_setup(vm);
	else
		pf_skip("no such nested guest");
	return vm;
}

static bool is_in_guest_mode(struct kvm_vcpu *vcpu)
{
	struct kvm_nested_state *state = calloc(1, PAGE_SIZE * 4);
	bool guest_mode;

	TEST_ASSERT(state, "no memory");
	state->size = PAGE_SIZE * 4;
	vcpu_nested_state_get(vcpu, state);
	guest_mode = state->flags & KVM_STATE_NESTED_GUEST_MODE;
	free(state);

	return guest_mode;
}

/* Runs until L2 reports. */
static void run_into_l2(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_SYNC);
	ASSERT_EQ(uc.args[1], 2);
	ASSERT_EQ(is_in_guest_mode(vcpu), true);
}

static void run_guest_mode(bool nested_paging)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_nested_vm(&vcpu, nested_paging);
	void *mem;

	if (!vm)
		return;

	mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	run_into_l2(vcpu);
	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EOPNOTSUPP);
	pf_assert_error(vcpu, PF_GPA, 0, EINVAL);

	/* L2 exits, L1 goes on to report an empty range. */
	pf_guest_touch(vcpu, PF_GPA, 0, false);
	ASSERT_EQ(is_in_guest_mode(vcpu), false);
	pf_warm_up(vcpu);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
}

static void test_guest_mode(void)
{
	run_guest_mode(false);
}

static void test_guest_mode_nested_paging(void)
{
	run_guest_mode(true);
}

static const struct pre_fault_case cases[] = {
	{ "never_run", test_never_run },
	{ "before_and_after_setup", test_before_and_after_setup },
	{ "before_setup_only", test_before_setup_only },
	{ "cpuid_changes", test_cpuid_changes },
	{ "paging_modes", test_paging_modes },
	{ "real_mode", test_real_mode },
	{ "slot_changes", test_slot_changes },
	{ "smm_by_events", test_smm_by_events },
	{ "smm_by_smi", test_smm_by_smi },
	{ "address_spaces", test_address_spaces },
	{ "guest_mode", test_guest_mode },
	{ "guest_mode_nested_paging", test_guest_mode_nested_paging },
};

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, NULL, 0);
	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
