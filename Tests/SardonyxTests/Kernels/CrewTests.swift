import Synchronization
import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Crew") struct CrewTests {
    @Test("Every chunk is done once", arguments: [1, 2, 3, 7])
    func once(_ threads: Int) {
      let crew = Crew(threads: threads)
      crew.withWorkers {
        for chunks in [0, 1, 2, 3, 100, 1000] {
          let counts = Mutex([Int](repeating: 0, count: chunks))
          crew.perform(chunks) { chunk in counts.withLock { $0[chunk] += 1 } }
          #expect(counts.withLock { $0.allSatisfy { $0 == 1 } })
        }
      }
    }

    @Test("Work within work is done by who came to it")
    func nested() {
      let crew = Crew(threads: 3)
      let count = Mutex(0)
      crew.perform(20) { _ in
        crew.perform(10) { _ in count.withLock { $0 += 1 } }
      }
      #expect(count.withLock { $0 } == 200)
    }

    @Test("After a cancellation the chunks that are left are skipped", arguments: [1, 2])
    func cancelled(_ threads: Int) {
      let crew = Crew(threads: threads)
      let count = Mutex(0)
      crew.perform(1000) { _ in
        count.withLock { $0 += 1 }
        crew.cancel()
      }
      #expect(crew.isCancelled)
      #expect(count.withLock { $0 } <= threads)
    }

    @Test("A deadline that has passed cancels")
    func late() {
      let crew = Crew(threads: 2, deadline: .now)
      let count = Mutex(0)
      crew.perform(10) { _ in count.withLock { $0 += 1 } }
      #expect(crew.isCancelled)
      #expect(count.withLock { $0 } == 0)
    }

    @Test("A cancelled task cancels the crew that it waits for")
    func task() async {
      let task = Task {
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        let crew = Crew(threads: 2)
        crew.perform(10) { _ in }
        return crew.isCancelled
      }
      #expect(await task.value)
    }

    @Test("Crews work side by side, and one crew serves several tasks")
    func together() async {
      let shared = Crew(threads: 3)
      await withTaskGroup(of: Int.self) { group in
        for index in 0..<8 {
          group.addTask {
            let crew = index % 2 == 0 ? shared : Crew(threads: 2)
            let count = Atomic(0)
            for _ in 0..<200 {
              crew.perform(5) { _ in count.add(1, ordering: .relaxed) }
            }
            return count.load(ordering: .relaxed)
          }
        }
        for await count in group { #expect(count == 1000) }
      }
    }
  }
}

extension Kernels {
  @Suite("Thread count") struct ThreadCountTests {
    @Test("The least bound decides, and is named")
    func bounds() {
      #expect(
        ThreadCount(online: 8, affinity: nil, quota: nil).reason
          == "8 threads: 8 processors are online")
      #expect(
        ThreadCount(online: 8, affinity: 4, quota: nil).reason
          == "4 threads: the process is bound to 4 of 8 processors")
      #expect(
        ThreadCount(online: 8, affinity: 4, quota: 0.5).reason
          == "1 thread: the control group may use 0.5 processors' time")
      #expect(ThreadCount(online: 8, affinity: 4, quota: 2.5).count == 3)
      #expect(ThreadCount.standard.count >= 1)
    }

    @Test("What Linux writes is read")
    func reading() {
      #expect(ThreadCount.processors(inList: "0-3,8") == 5)
      #expect(ThreadCount.processors(inList: "") == nil)
      #expect(ControlGroup.share("200000 100000\n") == 2)
      #expect(ControlGroup.share("max 100000\n") == nil)
      #expect(ControlGroup.share("-1 100000") == nil)
      #expect(ControlGroup.places(upFrom: "/a/b") == ["/a/b", "/a", ""])
      #expect(ControlGroup.path(of: "", in: "0::/user.slice\n") == "/user.slice")
      #expect(ControlGroup.path(of: "cpu", in: "4:cpu,cpuacct:/x\n0::/y\n") == "/x")
    }
  }
}
