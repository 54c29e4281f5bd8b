#include "client/demo/lessons/lessons.hpp"

#include <vector>

namespace frsh::demo {

const std::vector<Lesson>& lessons() {
    static const std::vector<Lesson> all = {
        {"layers",
         {"One datagram through a router, layer in layer", "一个数据报穿过路由器：层层相套"},
         {"Which addresses does a packet carry, and which of them change on the way?",
          "一个报文带着哪些地址？路上哪些会变？"},
         lesson_layers},
        {"flow",
         {"The life of a connection, call by call", "一条连接的一生：逐个系统调用地看"},
         {"Who calls what, when do the packets go, and who is left in TIME_WAIT?",
          "谁调用什么？报文什么时候发出？最后是谁留在 TIME_WAIT？"},
         lesson_flow},
        {"merge",
         {"Packets that stick: many sends, one recv", "粘包：多次 send，一次 recv"},
         {"I sent three messages. Why did only one arrive?",
          "我明明发了三条消息，对方为什么只收到“一条”？"},
         lesson_merge},
        {"split",
         {"Packets that break: one send, many recvs", "半包：一次 send，多次 recv"},
         {"I sent one message. Why is half of it missing?",
          "我只发了一条消息，对方为什么只收到半条？"},
         lesson_split},
        {"naive",
         {"The classic remote shell, and how it goes wrong", "经典的“远程执行命令”是怎样出错的"},
         {"Why does the second answer begin with the end of the first?",
          "为什么第二条命令的结果，开头却是第一条命令的尾巴？"},
         lesson_naive},
        {"empty",
         {"Nothing: sent, received, and meant", "“空”：发空、收空、以及它的含义"},
         {"What arrives when I send nothing? And what does recv's 0 mean?",
          "发送空内容，对方会收到什么？recv 返回 0 到底是什么意思？"},
         lesson_empty},
        {"frame",
         {"The cure: a length in front of every message", "粘包的解法：给每条消息加上报头"},
         {"How does the reader know where a message ends?", "接收方怎样知道一条消息到哪里为止？"},
         lesson_frame},
        {"udp",
         {"Datagrams: boundaries kept, nothing else promised",
          "UDP 数据报：保留边界，此外什么都不保证"},
         {"UDP does not stick. So why not use that?", "UDP 不粘包，那为什么不用 UDP？"},
         lesson_udp},
        {"server",
         {"One client at a time, then a process for each",
          "从一次只服务一个客户，到每个客户一个进程"},
         {"Who waits for whom, and what is a zombie?", "谁在等谁？僵尸进程又是什么？"},
         lesson_server},
        {"cures",
         {"The cures that are none, and the one that holds", "四种偏方，一种解法"},
         {"Does a pause, a larger buffer, silence or a newline help?",
          "停一下、加大缓冲区、等到没数据、用换行，管用吗？"},
         lesson_cures},
        {"framings",
         {"Eight framings: what they cost and what they survive", "八种成帧方式：代价与耐切"},
         {"Newline, length, TLV, close, HTTP, WebSocket: which one?",
          "换行、长度、TLV、关闭、HTTP、WebSocket，选哪一种？"},
         lesson_framings},
    };
    return all;
}

}  // namespace frsh::demo
