// What a kernel needs of CUDA, for g++: the threads of a block are threads, one block follows another.

#include <math.h>
#include <pthread.h>

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
static pthread_barrier_t all_threads;

static void __syncthreads() { pthread_barrier_wait(&all_threads); }

// arguments point to the kernel's arguments, as for cuLaunchKernel
template <class... T, size_t... I>
void run(int blocks, int threads, void (*kernel)(T...), void** arguments, std::index_sequence<I...>) {
    blockDim.x = threads;
    pthread_barrier_init(&all_threads, nullptr, threads);
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
        std::vector<std::thread> block;
        for (int i = 0; i < threads; ++i)
            block.emplace_back([=] {
                threadIdx.x = i;
                kernel(*static_cast<T*>(arguments[I])...);
            });
        for (auto& thread : block) thread.join();
    }
    pthread_barrier_destroy(&all_threads);
}

template <class... T>
void run(int blocks, int threads, void (*kernel)(T...), void** arguments) {
    run(blocks, threads, kernel, arguments, std::index_sequence_for<T...>());
}
