// A guard for devices of type "cuda" that switches nothing, for a PyTorch that was built without
// CUDA: indexing a fake tensor asks for its device's guard, and then goes on without a driver.
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace {

class TwoDevices final : public c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
 public:
  c10::DeviceIndex deviceCount() const noexcept override {
    return 2;
  }
};

TwoDevices guard;
const c10::impl::DeviceGuardImplRegistrar registered(c10::DeviceType::CUDA, &guard);

}  // namespace
