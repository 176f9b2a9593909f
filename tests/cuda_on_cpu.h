// What a kernel needs of CUDA, for g++. One block follows another, and of its threads one runs at a time: up to
// the next barrier, then it is the turn of the next thread. So whoever needs a barrier that is not there reads
// numbers from before or after, every time. The order of the turns is the opposite one in every other launch.

#include <math.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(n)

struct Dimension {
    int x;
};
static thread_local Dimension threadIdx;
static Dimension blockIdx, blockDim;
static int turn, direction = 1;
static std::mutex mutex;
static std::condition_variable turned;

static void wait() {
    std::unique_lock<std::mutex> lock(mutex);
    turned.wait(lock, [] { return turn == threadIdx.x; });
}

static void hand_over() {
    std::lock_guard<std::mutex> lock(mutex);
    turn = (turn + direction + blockDim.x) % blockDim.x;
    turned.notify_all();
}

static void __syncthreads() {
    hand_over();
    wait();
}

// arguments point to the kernel's arguments, as for cuLaunchKernel
template <class... T, size_t... I>
void run(int blocks, int threads, void (*kernel)(T...), void** arguments, std::index_sequence<I...>) {
    blockDim.x = threads;
    direction = -direction;
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
        std::vector<std::thread> block;
        turn = direction > 0 ? 0 : threads - 1;
        for (int i = 0; i < threads; ++i)
            block.emplace_back([=] {
                threadIdx.x = i;
                wait();
                kernel(*static_cast<T*>(arguments[I])...);
                hand_over();
            });
        for (auto& thread : block) thread.join();
    }
}

template <class... T>
void run(int blocks, int threads, void (*kernel)(T...), void** arguments) {
    run(blocks, threads, kernel, arguments, std::index_sequence_for<T...>());
}
